//! Who wants to be told: an address of the partner's, the kinds of events, and the secret that signs them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use url::{Host, Url};

use super::Timestamp;
use super::address::is_public;
use super::event::EventKind;
use super::ids::SubscriptionKey;
use super::seal::Sealed;

/// Most subscriptions of a bot: each event is a call for each of them.
pub const MOST: usize = 10;
/// How long the secret before signs, too: the receiver is changed in this time.
pub const ROTATION: Duration = Duration::from_secs(24 * 60 * 60);
/// How many secrets sign beside the present one at most: each makes the header longer.
const MOST_PREVIOUS: usize = 4;
/// After so many failures in a row only one call at a time finds out whether the address works again.
const FAILING_AFTER: u32 = 5;
/// The pause between such calls: half as long as it has failed, within these bounds.
const SHORTEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses, by HTTPS.
    Public,
    /// Anything: only for a developer's machine.
    Any,
}

impl FromStr for Reach {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "public" => Ok(Self::Public),
            "any" => Ok(Self::Any),
            _ => Err("must be public or any"),
        }
    }
}

impl Reach {
    /// Whether this address may be connected to.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::Any || is_public(address)
    }
}

/// Why an address is not taken, in words for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongTarget(pub &'static str);

/// An address that may be called as far as its text says: its name is looked up at each connection, and what it
/// leads to is checked there. `Debug` leaves its path out, which may hold a secret of the receiver's.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Longest address, in bytes.
    pub const LONGEST: usize = 1000;

    /// Reads an address.
    ///
    /// # Errors
    /// [`WrongTarget`].
    pub fn read(text: &str, reach: Reach) -> Result<Self, WrongTarget> {
        if text.len() > Self::LONGEST {
            return Err(WrongTarget("must have at most 1000 characters"));
        }
        let url: Url = text.parse().map_err(|_| WrongTarget("must be an address of the web"))?;
        match url.scheme() {
            "https" => {}
            "http" if reach == Reach::Any => {}
            _ => return Err(WrongTarget("must begin with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WrongTarget("must have no user name and no password"));
        }
        if url.fragment().is_some() {
            return Err(WrongTarget("must have no fragment"));
        }
        if url.port().is_some_and(|port| port < 1024 && reach == Reach::Public) {
            return Err(WrongTarget("must have port 443, or one of 1024 and above"));
        }
        match url.host() {
            None => return Err(WrongTarget("must name a host")),
            Some(Host::Ipv4(it)) if !reach.allows(it.into()) => return Err(NOT_PUBLIC),
            Some(Host::Ipv6(it)) if !reach.allows(it.into()) => return Err(NOT_PUBLIC),
            Some(Host::Domain(name)) if reach == Reach::Public && !is_public_name(name) => {
                return Err(NOT_PUBLIC);
            }
            Some(_) => {}
        }
        Ok(Self(url))
    }

    /// The address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The address as text, for its owner.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

const NOT_PUBLIC: WrongTarget = WrongTarget("must lead to a public address of the internet");

/// What never leads anywhere public is said at once; all else is known when it is looked up.
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains('.') && !["localhost", "local", "internal", "arpa"].contains(&last)
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}…)", self.0.origin().ascii_serialization())
    }
}

/// Why a subscription is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Somebody switched it off.
    Caller,
    /// The address answered 410: it wants no events any more.
    Gone,
}

impl Off {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Gone => "gone",
        }
    }
}

/// One address that is told of a bot's events.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Bot and id.
    pub key: SubscriptionKey,
    /// Where to; read again before each call, because what may be called can change.
    pub url: String,
    /// Of what.
    pub kinds: BTreeSet<EventKind>,
    /// Why not; `None` = it is on.
    pub off: Option<Off>,
    /// What signs.
    pub secret: Sealed,
    /// What signed before, the newest first, and until when each signs, too.
    pub previous: Vec<(Sealed, Timestamp)>,
    /// Names the request that made the present secret, if that had a key: the same request shows it again.
    pub request: Option<String>,
    /// Counts the changes by callers.
    pub version: u64,
    /// How its calls went lately.
    pub health: Health,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a caller last changed it.
    pub updated_at: Timestamp,
}

impl Subscription {
    /// Whether it wants events of this kind. A ping goes to whoever asks for it.
    #[must_use]
    pub fn wants(&self, kind: EventKind) -> bool {
        self.off.is_none() && (kind == EventKind::Ping || self.kinds.contains(&kind))
    }

    /// What signs at `now`, the present secret first.
    pub fn secrets_at(&self, now: Timestamp) -> impl Iterator<Item = &Sealed> {
        let previous = self.previous.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.secret).chain(previous.map(|(sealed, _)| sealed))
    }

    /// The same with a new secret. Of several changes within [`ROTATION`] nobody knows which secret the receiver has, so
    /// each still signs as long.
    #[must_use]
    pub fn rotated(self, secret: Sealed, now: Timestamp) -> Self {
        let earlier = self.previous.into_iter().filter(|(_, until)| now < *until);
        let previous = std::iter::once((self.secret, now + ROTATION)).chain(earlier).take(MOST_PREVIOUS);
        Self { previous: previous.collect(), secret, ..self }
    }
}

/// How the calls of a subscription went lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// Before then nobody calls.
    pub paused_until: Option<Timestamp>,
}

impl Health {
    /// Whether it fails so often that calls take turns.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures >= FAILING_AFTER
    }

    /// Until when nobody calls after a failure at `now`; `None` while it may have been chance.
    #[must_use]
    pub fn pause_after_failure(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.failing_since.filter(|_| self.failures + 1 >= FAILING_AFTER)?;
        let failing = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        Some(now + (failing / 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_by_https_are_taken() {
        for wrong in [
            "",
            "hooks",
            "http://hooks.partner.example/",
            "ftp://hooks.partner.example/",
            "https://user@hooks.partner.example/",
            "https://:secret@hooks.partner.example/",
            "https://hooks.partner.example/#part",
            "https://hooks.partner.example:22/",
            "https://localhost/",
            "https://deep.localhost./",
            "https://intranet/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0251.0376.0251.0376/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1:8443/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[fd00:ec2::254]/",
        ] {
            assert!(Target::read(wrong, Reach::Public).is_err(), "{wrong}");
        }
        let long = format!("https://hooks.partner.example/{}", "x".repeat(Target::LONGEST));
        assert!(Target::read(&long, Reach::Public).is_err());
        for right in [
            "https://hooks.partner.example/",
            "https://hooks.partner.example:443/in?bot=1",
            "https://hooks.partner.example:8443/",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(Target::read(right, Reach::Public).is_ok(), "{right}");
        }
        assert!(Target::read("http://127.0.0.1:80/", Reach::Any).is_ok());
        assert!(Target::read("file:///etc/passwd", Reach::Any).is_err());
    }

    #[test]
    fn an_address_is_not_shown_whole() {
        let target = Target::read("https://hooks.partner.example/s3cret?t=1", Reach::Public).unwrap();
        assert_eq!(format!("{target:?}"), "Target(https://hooks.partner.example…)");
    }

    #[test]
    fn an_address_that_keeps_failing_waits_ever_longer() {
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let health = |failures| Health { failures, failing_since: Some(start), paused_until: None };
        assert_eq!(health(3).pause_after_failure(start), None, "it may be chance");
        let pause = |minutes: u64| {
            let now = start + Duration::from_secs(minutes * 60);
            health(4).pause_after_failure(now).unwrap().duration_since(now).as_secs()
        };
        assert_eq!([0, 1, 10, 60, 120, 9999].map(pause), [30, 30, 300, 1800, 3600, 3600]);
        assert!(!health(4).is_failing() && health(5).is_failing());
    }
}
