//! Which addresses of the internet are public. What the partner's customers enter as an address is called from
//! inside of the partner's cloud account, where some addresses open doors: the metadata service, other machines.
//!
//! The tables are those of IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890 and its successors),
//! with multicast and what is reserved. IPv6 is public only within 2000::/3, all that IANA has given out, so what is
//! unknown there is refused: mapped and translated IPv4 addresses, unique local and link-local ones among it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address, and how many bits of it count.
const SPECIAL_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared, carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 3),     // multicast, reserved, broadcast
];

/// What IANA has given out of IPv6.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is special within it.
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, ORCHID, benchmarking
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether an address is one of the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => !SPECIAL_V4.iter().any(|net| in_v4(it, *net)),
        IpAddr::V6(it) => in_v6(it, GLOBAL_V6) && !SPECIAL_V6.iter().any(|net| in_v6(it, *net)),
    }
}

fn in_v4(address: Ipv4Addr, (first, bits): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ first.to_bits()) >> (32 - bits) == 0
}

fn in_v6(address: Ipv6Addr, (first, bits): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ first.to_bits()) >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn what_leads_inside_is_not_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(inside), "{inside}");
        }
    }

    #[test]
    fn what_is_beside_it_is_public() {
        for outside in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "3ffe:ffff::1",
        ] {
            assert!(public(outside), "{outside}");
        }
    }

    proptest! {
        /// Whatever the standard library can say of an address agrees, and no way of writing IPv4 within IPv6 leads
        /// anywhere.
        #[test]
        fn no_address_that_the_standard_library_knows_as_special_is_public(bits: u32, high: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || !is_public(IpAddr::V4(v4)));
            prop_assert!(!is_public(IpAddr::V6(v4.to_ipv6_mapped())));
            prop_assert!(!is_public(IpAddr::V6(v4.to_ipv6_compatible())));
            let translated = Ipv6Addr::from_bits((0x64_ff9b_u128 << 96) | u128::from(bits));
            prop_assert!(!is_public(IpAddr::V6(translated)));
            let through_6to4 = Ipv6Addr::from_bits((0x2002_u128 << 112) | (u128::from(bits) << 80) | (high >> 48));
            prop_assert!(!is_public(IpAddr::V6(through_6to4)));
            let v6 = Ipv6Addr::from_bits(high);
            let special = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || v6.is_unique_local()
                || v6.is_unicast_link_local();
            prop_assert!(!special || !is_public(IpAddr::V6(v6)));
        }

        #[test]
        fn every_address_of_a_special_network_is_refused(net in 0..SPECIAL_V4.len(), host: u32, net6 in 0..SPECIAL_V6.len(), host6: u128) {
            let (first, bits) = SPECIAL_V4[net];
            let inside = Ipv4Addr::from_bits(first.to_bits() | (host >> bits));
            prop_assert!(!is_public(IpAddr::V4(inside)), "{}", inside);
            let (first, bits) = SPECIAL_V6[net6];
            let inside = Ipv6Addr::from_bits(first.to_bits() | (host6 >> bits));
            prop_assert!(!is_public(IpAddr::V6(inside)), "{}", inside);
        }
    }
}
