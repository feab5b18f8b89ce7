//! Plugins and key files swapped again and again under load.
//!
//! The plugin `tests/guests/edition` takes part in every phase and refuses requests of which another edition decided an
//! earlier phase. Its edition is in its component and in a file it is configured with; the soak replaces now the one and now
//! the other. Every answer says its edition, and no connection may ever see an older one after a newer one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, path::Path};

use crate::wire::{Answer, Wire};
use crate::{Folder, Server, built_guest};

/// What sets off a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The server sees the file.
    File,
    /// SIGHUP, after the file has been replaced.
    Hangup,
}

/// How to soak.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// Swaps, each of which has to take effect before the next.
    pub swaps: u32,
    /// What sets them off.
    pub trigger: Trigger,
    /// Connections under load all the while.
    pub connections: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Swaps that took effect.
    pub swaps: u32,
    /// Requests answered meanwhile.
    pub requests: u64,
    /// Those that were not answered with 200, or by another edition than could be, and errors in the server's log.
    pub failed: u64,
    /// The first of them, in words.
    pub failures: Vec<String>,
    /// Resident memory of the server after the tenth swap and at the end, in KiB. 0 where there were fewer.
    pub resident: (u64, u64),
    /// From replacing a file to the first answer of the new edition, sorted.
    pub delays: Vec<Duration>,
}

impl Report {
    /// By how much resident memory grew after the tenth swap, as a part of what it was. `None` where there were fewer swaps.
    pub fn growth(&self) -> Option<f64> {
        let (before, after) = self.resident;
        (before > 0).then(|| after as f64 / before as f64 - 1.0)
    }
}

/// Swaps after which the server's memory is first measured.
const WARM_UP: u32 = 10;
/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_mins(2);

const ORIGINAL: &[u8] = b"edition: original";
const CHAT: &str = "/v1/chat/completions";
const HEADERS: &str = "authorization: Bearer anything\r\n";
const BODY: &str = r#"{"messages":[{"role":"user","content":"2"}],"max_tokens":1,"temperature":0}"#;

/// The component of `tests/guests/edition` with another edition in it, which has eight letters.
pub fn edition(name: &str) -> Vec<u8> {
    let mut component = fs::read(built_guest("edition")).expect("`cargo xtask plugins` builds it");
    let place = component.windows(ORIGINAL.len()).position(|window| window == ORIGINAL);
    let place = place.expect("the guest holds its edition") + ORIGINAL.len() - name.len();
    component[place..place + name.len()].copy_from_slice(name.as_bytes());
    component
}

/// Puts a file in its place by renaming.
pub fn replace(path: &Path, content: &[u8]) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, content).expect("a test can write to its folder");
    fs::rename(&fresh, path).expect("a test can rename in its folder");
}

/// What the clients share.
#[derive(Default)]
struct Scene {
    /// The editions there have been, in order. The last one may not be in force yet.
    editions: Mutex<Vec<String>>,
    /// Place of the newest one that has answered.
    newest: Mutex<usize>,
    answered: Condvar,
    stop: AtomicBool,
    requests: AtomicU64,
    failed: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Soak {
    /// Runs it to its end.
    pub fn run(&self) -> Report {
        let folder = Folder::new();
        let components = [edition("edition1"), edition("edition2")];
        let plugin = folder.write("edition.wasm", &components[0]);
        let mark = folder.write("mark", "0");
        let server = Server::start(&["--plugin", &format!("{plugin},mark={mark}")]);
        let scene = Scene::default();
        scene.push("edition1-0".to_owned());
        let (resident, delays) = thread::scope(|scope| {
            for number in 0..self.connections {
                let (scene, address) = (&scene, server.address());
                scope.spawn(move || scene.load(address, number));
            }
            // Whatever happens, the clients end.
            let _stop = Stop(&scene);
            self.swap(&server, &scene, &components, Path::new(&plugin), Path::new(&mark))
        });
        let log = server.log();
        for line in log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")) {
            scene.fail(format!("the log has: {line}"));
        }
        Report {
            swaps: delays.len() as u32,
            requests: scene.requests.load(SeqCst),
            failed: scene.failed.load(SeqCst),
            failures: scene.failures.into_inner().expect("no client panicked"),
            resident,
            delays,
        }
    }

    fn swap(
        &self,
        server: &Server,
        scene: &Scene,
        components: &[Vec<u8>; 2],
        plugin: &Path,
        mark: &Path,
    ) -> ((u64, u64), Vec<Duration>) {
        let mut delays = Vec::new();
        let (mut edition, mut marked) = (0, 0);
        let mut resident = 0;
        for number in 1..=self.swaps {
            let is_code = number % 2 == 1;
            if is_code {
                edition = 1 - edition;
            } else {
                marked = number;
            }
            let place = scene.push(format!("edition{}-{marked}", edition + 1));
            let begun = Instant::now();
            if is_code {
                replace(plugin, &components[edition]);
            } else {
                replace(mark, marked.to_string().as_bytes());
            }
            if self.trigger == Trigger::Hangup {
                server.hangup();
            }
            if !scene.wait_for(place) {
                scene.fail(format!("swap {number} never took effect\n{}", server.log()));
                break;
            }
            delays.push(begun.elapsed());
            if number == WARM_UP {
                resident = at_rest(server);
            }
        }
        delays.sort_unstable();
        ((resident, at_rest(server)), delays)
    }
}

/// Resident memory between swaps, while requests go on, in KiB: the least of what is seen in two seconds, because what a swap
/// takes for a moment is given back a while after it took effect.
fn at_rest(server: &Server) -> u64 {
    const READINGS: u32 = 20;
    const BETWEEN: Duration = Duration::from_millis(100);

    let readings = (0..READINGS).map(|_| {
        thread::sleep(BETWEEN);
        server.resident_kib()
    });
    readings.min().unwrap_or_default()
}

struct Stop<'a>(&'a Scene);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, SeqCst);
    }
}

impl Scene {
    fn push(&self, edition: String) -> usize {
        let mut editions = self.editions.lock().expect("no client panicked");
        editions.push(edition);
        editions.len() - 1
    }

    /// Asks over one connection until told to stop. The first client lets time pass between a request's head and its body,
    /// so that swaps come in between.
    fn load(&self, address: &str, number: u32) {
        let mut wire = Wire::connect(address).expect("the server takes connections");
        let mut seen = 0;
        while !self.stop.load(SeqCst) {
            let before = *self.newest.lock().expect("no client panicked");
            let pause = || {
                if number == 0 {
                    self.wait_for_news(before, Duration::from_millis(50));
                }
            };
            let answer = wire.post(CHAT, HEADERS, BODY, pause);
            self.requests.fetch_add(1, SeqCst);
            match answer.map_err(|error| error.to_string()).and_then(|answer| self.judge(&answer, seen)) {
                Ok(place) => seen = place,
                Err(reason) => {
                    self.fail(reason);
                    // It may be gone.
                    match Wire::connect(address) {
                        Ok(fresh) => wire = fresh,
                        Err(_) => return,
                    }
                }
            }
        }
    }

    /// The place of the edition that answered.
    fn judge(&self, answer: &Answer, seen: usize) -> Result<usize, String> {
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.body));
        }
        let edition = answer.header("x-ratelimit-edition").unwrap_or_default();
        let place =
            self.editions.lock().expect("no client panicked").iter().rposition(|known| known == edition);
        let place = place.ok_or_else(|| format!("answered by `{edition}`, which there never was"))?;
        if place < seen {
            return Err(format!("answered by `{edition}` after a newer one had answered"));
        }
        let mut newest = self.newest.lock().expect("no client panicked");
        if place > *newest {
            *newest = place;
            self.answered.notify_all();
        }
        Ok(place)
    }

    fn wait_for(&self, place: usize) -> bool {
        let newest = self.newest.lock().expect("no client panicked");
        let waited = self.answered.wait_timeout_while(newest, PATIENCE, |newest| *newest < place);
        *waited.expect("no client panicked").0 >= place
    }

    /// Waits until another edition has answered, but not for long.
    fn wait_for_news(&self, before: usize, most: Duration) {
        let newest = self.newest.lock().expect("no client panicked");
        drop(self.answered.wait_timeout_while(newest, most, |newest| *newest == before));
    }

    fn fail(&self, reason: String) {
        self.failed.fetch_add(1, SeqCst);
        let mut failures = self.failures.lock().expect("no client panicked");
        if failures.len() < 10 {
            failures.push(reason);
        }
    }
}
