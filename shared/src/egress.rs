//! Which addresses are called for a host that somebody else than the operator names: a mail server of an account, or what an
//! outside service refers to.
//!
//! Public ones only, so that nobody has us call what they cannot reach themselves: this machine, the operator's own network, a
//! cloud's metadata. A name tells nothing: the addresses count that it has when a connection is opened, and these are called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Networks, Reader, Section};

/// Where hosts may be. The default is public addresses only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Egress {
    /// Anywhere: for hosts that the operator names.
    Anywhere,
    /// At public addresses, and in these networks.
    Public { besides: Networks },
}

impl Default for Egress {
    fn default() -> Self {
        Self::Public { besides: Networks::default() }
    }
}

impl Section for Egress {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self::Public { besides: Networks::named(reader, "ALLOWED_PRIVATE_NETWORKS")? })
    }
}

impl Egress {
    /// Whether this address may be called.
    pub fn allows(&self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public { besides } => {
                let reached = reached(address);
                is_public(reached) || besides.contain(reached) || besides.contain(address)
            }
        }
    }

    /// False for a host that is an address which may not be called. What a name means is found out when it is called.
    pub fn allows_host(&self, host: &str) -> bool {
        literal(host).is_none_or(|address| self.allows(address))
    }
}

/// Azure's services for its machines, at an address of a public range.
const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The IPv4 address that a mapped one, or one of NAT64's well-known prefix (RFC 6052), leads to; any other address itself.
fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)).into(),
        _ => v6.into(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA's IPv4 special-purpose address registry.
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let assignments = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation();
    !(special || shared || assignments || benchmarks || a == 0 || a >= 224 || v4 == WIRE_SERVER)
}

/// Global unicast, without documentation and without prefixes that carry IPv4 addresses (Teredo, 6to4).
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !special
}

/// The address that a host's text is, in any of the ways in which resolvers read one.
fn literal(host: &str) -> Option<IpAddr> {
    let host = host.trim();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let bare = bare.split_once('%').map_or(bare, |(address, _zone)| address);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    bare.parse().ok().or_else(|| short_v4(bare).map(IpAddr::V4))
}

/// `127.1`, `0x7f000001`, `017700000001`: one to four numbers, of which the last fills what is left of the address.
fn short_v4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    let left = 4_u32.checked_sub(u32::try_from(first.len()).ok()?).filter(|left| *left > 0)?;
    if u64::from(*last) >= 1 << (8 * left) || first.iter().any(|part| *part > 255) {
        return None;
    }
    let high = first.iter().fold(0_u64, |high, part| (high << 8) | u64::from(*part));
    u32::try_from((high << (8 * left)) | u64::from(*last)).ok().map(Ipv4Addr::from_bits)
}

/// Decimal, octal after `0`, hexadecimal after `0x`.
fn number(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        (None, _) => (lower.as_str(), 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Egress;
    use crate::config::Settings;

    const PUBLIC: &[&str] = &[
        "8.8.8.8",
        "142.250.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ];

    /// One of each block of IANA's registries that not everybody reaches, and of the ways to write IPv4 into IPv6.
    const OURS: &[&str] = &[
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_called_by_default() {
        let egress: Egress = Settings::of([]).read().unwrap();
        assert_eq!(egress, Egress::default());
        for public in PUBLIC {
            assert!(egress.allows(address(public)), "{public}");
        }
        for ours in OURS {
            assert!(!egress.allows(address(ours)), "{ours}");
            assert!(Egress::Anywhere.allows(address(ours)), "{ours}");
        }
    }

    #[test]
    fn networks_that_are_named_are_called_however_their_addresses_are_written() {
        let settings = Settings::of([("ALLOWED_PRIVATE_NETWORKS", "10.1.0.0/16, fd00:5::/32,127.0.0.1")]);
        let egress: Egress = settings.read().unwrap();
        for allowed in ["8.8.8.8", "10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00:5::1", "127.0.0.1"] {
            assert!(egress.allows(address(allowed)), "{allowed}");
        }
        for other in ["10.2.0.1", "127.0.0.2", "::1", "fd00:6::1", "169.254.169.254", "64:ff9b::a02:1"] {
            assert!(!egress.allows(address(other)), "{other}");
        }
        for wrong in ["10.0.0.0/33", "internal.example", "10.0.0.0/8;127.0.0.1"] {
            let errors = Settings::of([("ALLOWED_PRIVATE_NETWORKS", wrong)]).read::<Egress>().unwrap_err();
            assert!(errors.problems()[0].starts_with("ALLOWED_PRIVATE_NETWORKS: "), "{wrong}: {errors}");
        }
    }

    #[test]
    fn an_address_is_one_in_every_way_of_writing_it() {
        let egress = Egress::default();
        for ours in [
            "127.0.0.1",
            " 127.0.0.1 ",
            "127.0.0.1.",
            "[::1]",
            "::1",
            "fe80::1%eth0",
            "[fe80::1%25eth0]",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "169.254.43518",
        ] {
            assert!(!egress.allows_host(ours), "{ours}");
        }
        for host in ["imap.example.com", "localhost", "8.8.8.8", "134744072", "[2a00:1450:4001::1]", "1.2.3.4.5", ""] {
            assert!(egress.allows_host(host), "{host}: a name, or a public address");
        }
    }
}
