//! What rows can be grouped by and picked out by.

use std::{fmt, str::FromStr};

/// Something that each row has a value of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The organisation.
    Organisation,
    /// The team.
    Team,
    /// The project.
    Project,
    /// The agent.
    Agent,
    /// The key's name.
    Key,
    /// The end user.
    User,
    /// The session; such questions read single rows.
    Session,
    /// The tag of this name. Workloads are kept as the tag `workload`.
    Tag(String),
    /// What was called: chat, messages, embeddings, …
    Surface,
    /// The model, as the client asked for it.
    ModelAsked,
    /// The provider.
    Provider,
    /// The provider's name for the model.
    Model,
    /// Where the provider works.
    Region,
    /// Who counted the tokens.
    UsageSource,
    /// The price that was applied.
    PriceId,
    /// Request, unsettled, correction, lost lease.
    Kind,
    /// The hour in which the row is booked.
    Hour,
    /// The day.
    Day,
    /// The week, from Monday, as ISO 8601 counts them.
    Week,
    /// The month.
    Month,
}

use Dimension as D;

/// The tag that has a dimension's name of its own.
const WORKLOAD: &str = "workload";

/// Every dimension but tags, by its name.
const NAMES: [(&str, Dimension); 19] = [
    ("organisation", D::Organisation),
    ("team", D::Team),
    ("project", D::Project),
    ("agent", D::Agent),
    ("key", D::Key),
    ("user", D::User),
    ("session", D::Session),
    ("surface", D::Surface),
    ("model_asked", D::ModelAsked),
    ("provider", D::Provider),
    ("model", D::Model),
    ("region", D::Region),
    ("usage_source", D::UsageSource),
    ("price_id", D::PriceId),
    ("kind", D::Kind),
    ("hour", D::Hour),
    ("day", D::Day),
    ("week", D::Week),
    ("month", D::Month),
];

impl Dimension {
    /// Whether it is a span of time.
    #[must_use]
    pub const fn is_time(&self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Week | Self::Month)
    }

    /// Every dimension but tags.
    #[must_use]
    pub fn all() -> Vec<Self> {
        NAMES.iter().map(|(_, dimension)| dimension.clone()).collect()
    }

    /// The names that can be said, for a message.
    #[must_use]
    pub fn names() -> String {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        format!("{}, {WORKLOAD}, tag:NAME", names.join(", "))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Tag(name) = self {
            if name == WORKLOAD {
                return f.write_str(WORKLOAD);
            }
            return write!(f, "tag:{name}");
        }
        let named = NAMES.iter().find(|(_, dimension)| dimension == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("tag:").filter(|name| !name.is_empty()) {
            return Ok(Self::Tag(name.to_owned()));
        }
        if text == WORKLOAD {
            return Ok(Self::Tag(WORKLOAD.to_owned()));
        }
        // As it is spelled elsewhere, and with a dash.
        let wanted = text.replace('-', "_").replace("organization", "organisation");
        let named = NAMES.iter().find(|(name, _)| *name == wanted);
        named
            .map(|(_, dimension)| dimension.clone())
            .ok_or_else(|| format!("nothing is called {text:?} here; there are {}", Self::names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_read_and_written_alike() {
        for dimension in
            Dimension::all().into_iter().chain([D::Tag("env".into()), D::Tag("workload".into())])
        {
            assert_eq!(dimension.to_string().parse(), Ok(dimension));
        }
        assert_eq!("model-asked".parse(), Ok(D::ModelAsked));
        assert_eq!("organization".parse(), Ok(D::Organisation));
        assert!("tag:".parse::<D>().is_err());
        assert!("price".parse::<D>().is_err());
    }
}
