use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a name that stands for an address is to be trusted with it. A name is whatever its owner's name server says at
/// the moment, so it must not open the way to the machines around this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anybody's.
    Public,
    /// This machine, or the network around it: only for names whose grant says so.
    Private,
    /// No name of a server stands for it: link-local (where clouds keep their credentials), multicast, reserved. Only
    /// reached where the grant itself is this address.
    Never,
}

impl Reach {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

/// By the IANA registry of special-purpose addresses (RFC 6890).
fn v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // This machine, RFC 1918, and carrier-grade NAT (RFC 6598), which private networks use too.
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        // No address, link-local, multicast and reserved.
        [0 | 224..=255, ..] | [169, 254, ..] => Reach::Never,
        // Protocol assignments, 6to4 relays, benchmarks, documentation.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Reach::Never
        }
        _ => Reach::Public,
    }
}

fn v6(address: Ipv6Addr) -> Reach {
    if address.is_loopback() {
        return Reach::Private;
    }
    match address.segments() {
        // NAT64 (RFC 6052): on networks without IPv4 this is how public servers are reached. What counts is whom it
        // stands for.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            v4(Ipv4Addr::new(a, b, c, d))
        }
        // Unique local addresses (RFC 4193).
        [first, ..] if first & 0xfe00 == 0xfc00 => Reach::Private,
        // Teredo, 6to4 and the rest of 2001::/23 and 2002::/16: IPv4 in disguise, or no server at all.
        [0x2001, second, ..] if second < 0x200 => Reach::Never,
        [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..0x1000, ..] => Reach::Never,
        // Global unicast is 2000::/3. All else is unspecified, mapped, translated, link-local, multicast or not given out.
        [0x2000..0x4000, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::Reach;

    #[test]
    fn addresses_are_told_apart() {
        for (reach, addresses) in [
            (
                Reach::Public,
                &[
                    "1.1.1.1",
                    "172.15.0.1",
                    "172.32.0.1",
                    "100.63.0.1",
                    "100.128.0.1",
                    "192.0.1.1",
                    "223.255.255.255",
                ][..],
            ),
            (
                Reach::Private,
                &[
                    "127.0.0.1",
                    "127.255.0.1",
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.9.9",
                    "192.168.1.1",
                    "100.64.0.1",
                ],
            ),
            (
                Reach::Never,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "169.254.169.254",
                    "224.0.0.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "192.0.2.1",
                ],
            ),
            (Reach::Public, &["2606:4700::1111", "2001:200::1", "64:ff9b::101:101"]),
            (Reach::Private, &["::1", "fd00::1", "fc00::1", "64:ff9b::7f00:1", "64:ff9b::a00:1"]),
            (
                Reach::Never,
                &[
                    "::",
                    "::ffff:127.0.0.1",
                    "::ffff:1.1.1.1",
                    "::1.1.1.1",
                    "fe80::1",
                    "fec0::1",
                    "ff02::1",
                    "64:ff9b::a9fe:a9fe",
                    "64:ff9b:1::1",
                    "2001::1",
                    "2001:db8::1",
                    "2002:7f00:1::",
                    "100::1",
                    "4000::1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
            }
        }
    }
}
