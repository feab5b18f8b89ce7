use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use mlx_gate_plugin::authenticate::{Authenticate as _, Verdict};
use mlx_gate_plugin::host::Level;
use mlx_gate_plugin::kv::Error;
use mlx_gate_plugin::testing::{FakeHost, request};
use serde_json::json;

use super::{SHA, basic, with_options};
use crate::Htpasswd;

/// What the plugin says to a password of anna's that was sent from this address, with the wait of a 429 in milliseconds.
fn from(plugin: &Htpasswd, peer: Option<&str>, password: &str) -> (String, Option<u64>) {
    from_user(plugin, peer, "anna", password)
}

fn from_user(plugin: &Htpasswd, peer: Option<&str>, user: &str, password: &str) -> (String, Option<u64>) {
    let authorization = basic(user, password);
    let mut head = request("GET", "/", &[("authorization", &authorization)]);
    head.peer = peer.map(str::to_owned);
    match plugin.authenticate(head) {
        Verdict::Abstain(_) => panic!("there is a password"),
        Verdict::Allow(grant) => (format!("allow {}", grant.principal.subject), None),
        Verdict::Deny(denial) => (format!("deny {} {}", denial.status, denial.code), denial.retry_after_ms),
    }
}

#[test]
fn an_address_that_guesses_has_to_wait() {
    const HERE: Option<&str> = Some("192.0.2.1");
    let wrong = ("deny 401 invalid_credentials".to_owned(), None);
    let right = ("allow anna".to_owned(), None);
    let wait = |ms| ("deny 429 too_many_attempts".to_owned(), Some(ms));
    let options = json!({ "file": format!("anna:{SHA}"), "failures-per-minute": 6 });
    let plugin = with_options(&options).expect("sound options");
    let checked = Rc::new(RefCell::new(0));
    FakeHost::on_verify_password({
        let checked = checked.clone();
        move |_, password| {
            *checked.borrow_mut() += 1;
            Ok(password == "right")
        }
    });
    FakeHost::set_now_ms(0);
    for _ in 0..6 {
        assert_eq!(from(&plugin, HERE, "right"), right, "what is right is not counted");
        assert_eq!(from(&plugin, HERE, "guess"), wrong);
    }
    let before = *checked.borrow();
    for password in ["guess", "right"] {
        assert_eq!(from(&plugin, HERE, password), wait(10_000), "no password is looked at");
        assert_eq!(from(&plugin, Some("::ffff:192.0.2.1"), password), wait(10_000), "the same address");
    }
    assert_eq!(*checked.borrow(), before);
    assert_eq!(from(&plugin, Some("192.0.2.2"), "right"), right);
    FakeHost::set_now_ms(4_000);
    assert_eq!(from(&plugin, HERE, "right"), wait(6_000));
    FakeHost::set_now_ms(10_000);
    assert_eq!(from(&plugin, HERE, "right"), right);
    assert_eq!(from(&plugin, HERE, "guess"), wrong);
    assert_eq!(from(&plugin, HERE, "right"), wait(10_000));

    // Who has one IPv6 address has some more.
    for number in 1..=6 {
        assert_eq!(from(&plugin, Some(&format!("2001:db8::{number}")), "guess"), wrong);
    }
    assert_eq!(from(&plugin, Some("2001:db8::7"), "right"), wait(10_000));
    assert_eq!(from(&plugin, Some("2001:db8:0:1::7"), "right"), right);
}

/// Whom nobody can tell apart by address is told apart by name; but not where a header can make the address unknown.
#[test]
fn who_guesses_through_a_proxy_locks_out_one_user() {
    FakeHost::on_verify_password(|_, password| Ok(password == "right"));
    let options = json!({ "file": format!("anna:{SHA}\nbob:{SHA}"), "failures-per-minute": 2 });
    let plugin = with_options(&options).expect("sound options");
    for (number, peer) in ["127.0.0.1", "::1", "::ffff:127.0.0.2"].into_iter().enumerate() {
        let said = |user, password| from_user(&plugin, Some(peer), user, password).0;
        if number == 0 {
            assert_eq!(said("anna", "guess"), "deny 401 invalid_credentials");
            assert_eq!(said("anna", "guess"), "deny 401 invalid_credentials");
        }
        assert_eq!(said("anna", "right"), "deny 429 too_many_attempts", "{peer:?}");
        assert_eq!(said("bob", "right"), "allow bob");
    }
    for user in ["anna", "bob"] {
        assert_eq!(from_user(&plugin, None, user, "guess").0, "deny 401 invalid_credentials");
    }
    assert_eq!(from_user(&plugin, None, "carl", "guess").0, "deny 429 too_many_attempts");
}

#[test]
fn thirty_guesses_a_minute_unless_options_say_otherwise() {
    FakeHost::on_verify_password(|_, _| Ok(false));
    for (options, most) in [
        (json!({ "file": format!("anna:{SHA}") }), Some(30)),
        (json!({ "file": format!("anna:{SHA}"), "failures-per-minute": 1 }), Some(1)),
        (json!({ "file": format!("anna:{SHA}"), "failures-per-minute": 0 }), None),
    ] {
        let plugin = with_options(&options).expect("sound options");
        let address = format!("192.0.2.{}", most.unwrap_or_default());
        let answers = (0..200).map(|_| from(&plugin, Some(&address), "guess").0);
        let count = answers.take_while(|answer| answer == "deny 401 invalid_credentials").count();
        assert_eq!(count, most.unwrap_or(200), "{options}");
    }
}

#[test]
fn a_right_password_is_right_where_that_cannot_be_counted() {
    let plugin = with_options(&json!({ "file": format!("anna:{SHA}") })).expect("sound options");
    FakeHost::on_verify_password(|_, _| {
        FakeHost::fail_kv(Some(Error::Quota));
        Ok(true)
    });
    assert_eq!(from(&plugin, None, "right").0, "allow anna");
    let warned = "a right password counts as a wrong one: Error::Quota".to_owned();
    assert_eq!(FakeHost::take_log(), [(Level::Warn, warned)]);
}

/// Whoever sends a guess and hangs up has guessed.
#[test]
fn a_check_that_does_not_come_to_its_end_counts() {
    let plugin = with_options(&json!({ "file": format!("anna:{SHA}"), "failures-per-minute": 1 }));
    let plugin = plugin.expect("sound options");
    FakeHost::on_verify_password(|_, _| panic!("the client is gone"));
    let cut_off = catch_unwind(AssertUnwindSafe(|| from(&plugin, None, "guess")));
    assert!(cut_off.is_err());
    assert_eq!(from(&plugin, None, "guess").0, "deny 429 too_many_attempts");
}

#[test]
#[should_panic(expected = "wrong passwords cannot be counted")]
fn without_a_count_nobody_guesses() {
    let plugin = with_options(&json!({ "file": format!("anna:{SHA}") })).expect("sound options");
    FakeHost::on_verify_password(|_, _| Ok(true));
    FakeHost::fail_kv(Some(Error::Unavailable("down".to_owned())));
    from(&plugin, None, "right");
}
