use std::time::Duration;

use postrider_queue::RateLimit;

use crate::config::{Reader, Section};
use crate::ids::TenantId;

/// What operations are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteClass {
    /// Looks at something.
    Reads,
    /// Changes something.
    Writes,
    /// Brings jobs into the queue.
    Enqueues,
    /// Reads a great deal at once.
    Exports,
}

impl RouteClass {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reads, Self::Writes, Self::Enqueues, Self::Exports];

    /// As it stands in settings and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Enqueues => "enqueues",
            Self::Exports => "exports",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Reads => "RATE_LIMIT_READS",
            Self::Writes => "RATE_LIMIT_WRITES",
            Self::Enqueues => "RATE_LIMIT_ENQUEUES",
            Self::Exports => "RATE_LIMIT_EXPORTS",
        }
    }
}

/// A rate that one tenant has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantRate {
    pub tenant: TenantId,
    pub class: RouteClass,
    pub rate: Option<RateLimit>,
}

/// How often who may call. None is no limit.
#[derive(Debug, Clone)]
pub struct TrafficRates {
    /// Per address, before anybody asks who it is.
    pub address: Option<RateLimit>,
    /// Per key or person.
    pub caller: Option<RateLimit>,
    /// Per tenant and class, in the order of [`RouteClass::ALL`].
    pub classes: [Option<RateLimit>; 4],
    /// Tenants with rates of their own.
    pub tenants: Vec<TenantRate>,
    /// Attempts to sign in, per address.
    pub sign_in_address: Option<RateLimit>,
    /// Attempts to sign in, per name of an account, whether there is one or not.
    pub sign_in_account: Option<RateLimit>,
}

impl TrafficRates {
    /// What a tenant may do of a class.
    pub fn of(&self, tenant: TenantId, class: RouteClass) -> Option<RateLimit> {
        let own = self.tenants.iter().find(|own| own.tenant == tenant && own.class == class);
        own.map_or(self.classes[class as usize], |own| own.rate)
    }
}

impl Section for TrafficRates {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let address = read(reader, "RATE_LIMIT_ADDRESS");
        let caller = read(reader, "RATE_LIMIT_CALLER");
        let classes = RouteClass::ALL.map(|class| read(reader, class.variable()));
        let tenants = tenants(reader);
        let sign_in_address = read(reader, "RATE_LIMIT_SIGN_IN_ADDRESS");
        let sign_in_account = read(reader, "RATE_LIMIT_SIGN_IN_ACCOUNT");
        let [reads, writes, enqueues, exports] = classes;
        Some(Self {
            address: address?.0,
            caller: caller?.0,
            classes: [reads?.0, writes?.0, enqueues?.0, exports?.0],
            tenants: tenants?,
            sign_in_address: sign_in_address?.0,
            sign_in_account: sign_in_account?.0,
        })
    }
}

const EXPECTED: &str = "must be like 100/s or 600/min burst 50, or off";

/// A rate as it stands in the settings; none in it is `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written(pub(super) Option<RateLimit>);

/// Reads a rate; none after a problem was noted.
pub(super) fn read(reader: &mut Reader<'_>, name: &str) -> Option<Written> {
    let text = reader.text(name)?;
    let rate = parse(&text);
    if rate.is_none() {
        reader.problem(name, EXPECTED);
    }
    rate
}

fn tenants(reader: &mut Reader<'_>) -> Option<Vec<TenantRate>> {
    let text = reader.text("RATE_LIMIT_TENANTS").unwrap_or_default();
    let mut tenants = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some(own) = of_tenant(entry) else {
            reader.problem("RATE_LIMIT_TENANTS", "must be like TENANT.enqueues=100/s burst 500,TENANT.reads=off");
            return None;
        };
        tenants.push(own);
    }
    Some(tenants)
}

fn of_tenant(entry: &str) -> Option<TenantRate> {
    let (whose, rate) = entry.split_once('=')?;
    let (tenant, class) = whose.trim().split_once('.')?;
    let class = RouteClass::ALL.into_iter().find(|known| known.name() == class)?;
    Some(TenantRate { tenant: tenant.parse().ok()?, class, rate: parse(rate)?.0 })
}

/// `100/s`, `600/min burst 50`, `20/h`, `off`. Without a burst it is one second's worth, and at least one.
fn parse(text: &str) -> Option<Written> {
    if text.trim() == "off" {
        return Some(Written(None));
    }
    let mut words = text.split_whitespace();
    let (units, per) = words.next()?.split_once('/')?;
    let units: u32 = units.parse().ok().filter(|units| (1..=1_000_000).contains(units))?;
    let per = match per {
        "s" => Duration::from_secs(1),
        "min" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return None,
    };
    let burst = match (words.next(), words.next(), words.next()) {
        (None, ..) => (u64::from(units) / per.as_secs()).max(1).try_into().ok()?,
        (Some("burst"), Some(burst), None) => burst.parse().ok()?,
        _ => return None,
    };
    (1..=1_000_000).contains(&burst).then_some(Written(Some(RateLimit { units, per, burst })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_people_say_them() {
        let of = |units, per, burst| Some(Written(Some(RateLimit { units, per: Duration::from_secs(per), burst })));
        assert_eq!(parse("100/s"), of(100, 1, 100));
        assert_eq!(parse("600/min burst 50"), of(600, 60, 50));
        assert_eq!(parse(" 20/h "), of(20, 3_600, 1));
        assert_eq!(parse("off"), Some(Written(None)));
        for wrong in ["", "100", "0/s", "100/d", "100/s 50", "100/s burst", "100/s burst 0", "1/s burst 5 6", "-1/s"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let id = "0197f3a0-5c1e-7d2a-9b1f-3c5d7e9f1a2b";
        let own = of_tenant(&format!("{id}.enqueues=5/s burst 9")).unwrap();
        assert_eq!((own.tenant.to_string(), own.class), (id.to_owned(), RouteClass::Enqueues));
        for wrong in ["x.enqueues=5/s", &format!("{id}.mails=5/s"), &format!("{id}.reads"), id] {
            assert_eq!(of_tenant(wrong), None, "{wrong}");
        }
    }
}
