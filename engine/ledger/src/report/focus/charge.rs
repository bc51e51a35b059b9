//! One charge: a day's sums of one payer and one work.

use faregate_wire::JsonWriter;

use super::{Value, Version};
use crate::{
    month::{DAY, Month},
    report::Total,
    store::{StoreError, tags_of},
};

/// Billionths of one.
const ONE: i128 = 1_000_000_000;

/// How costs are allocated: each request's cost, to who sent it.
const METHOD: &str = "metered-by-request";

const CORRECTION: i64 = 2;
const LOST_LEASE: i64 = 3;

#[derive(Clone, Debug, Default)]
pub(super) struct Charge {
    day: u64,
    month: Option<Month>,
    organisation: String,
    team: String,
    project: String,
    agent: String,
    key: String,
    user: String,
    tags: String,
    surface: String,
    model_asked: String,
    provider: String,
    model: String,
    region: String,
    price_id: String,
    usage_source: i64,
    kind: i64,
    total: Total,
}

impl Charge {
    /// Reads the columns of the query in [`each`](super::each).
    pub(super) fn read(row: &rusqlite::Row<'_>, month: Month) -> Result<Self, StoreError> {
        let mut sums = [0_i64; 16];
        for (at, sum) in sums.iter_mut().enumerate() {
            *sum = row.get(at + 16)?;
        }
        let mut total = Total::default();
        total.add(&sums);
        Ok(Self {
            day: row.get::<_, i64>(0)?.cast_unsigned(),
            month: Some(month),
            organisation: row.get(1)?,
            team: row.get(2)?,
            project: row.get(3)?,
            agent: row.get(4)?,
            key: row.get(5)?,
            user: row.get(6)?,
            tags: row.get(7)?,
            surface: row.get(8)?,
            model_asked: row.get(9)?,
            provider: row.get(10)?,
            model: row.get(11)?,
            region: row.get(12)?,
            price_id: row.get(13)?,
            usage_source: row.get(14)?,
            kind: row.get(15)?,
            total,
        })
    }

    /// What it costs, in nano-dollars.
    pub(super) const fn cost(&self) -> i128 {
        self.total.cost
    }

    /// The value of a column.
    pub(super) fn value(&self, column: &str, version: Version) -> Value {
        match column {
            "BilledCost"
            | "ContractedCost"
            | "EffectiveCost"
            | "ListCost"
            | "PricingCurrencyEffectiveCost" => Value::Decimal(self.total.cost),
            "BillingCurrency" | "PricingCurrency" => said("USD"),
            "BillingAccountId" | "BillingAccountName" if self.organisation.is_empty() => {
                said("default")
            }
            "BillingAccountId" | "BillingAccountName" => text(&self.organisation),
            "BillingAccountType" => said("Organisation"),
            "SubAccountId" | "SubAccountName" => text(&self.team),
            "SubAccountType" if !self.team.is_empty() => said("Team"),
            "BillingPeriodStart" => {
                self.month.map_or(Value::Null, |month| Value::Time(month.start()))
            }
            "BillingPeriodEnd" => self.month.map_or(Value::Null, |month| Value::Time(month.end())),
            "ChargePeriodStart" => Value::Time(self.day * DAY),
            "ChargePeriodEnd" => Value::Time((self.day + 1) * DAY),
            "ChargeCategory" => said(if self.is_usage() { "Usage" } else { "Adjustment" }),
            "ChargeClass" if self.kind == CORRECTION => said("Correction"),
            "ChargeDescription" => Value::Text(self.description()),
            "ChargeFrequency" => said(if self.is_usage() { "Usage-Based" } else { "One-Time" }),
            "Tags" => self.tags(version),
            _ if column.starts_with("x_") => self.ours(column),
            _ if column.starts_with("Allocated") => self.allocated(column),
            _ => self.service(column),
        }
    }

    /// What was provided, and by whom.
    fn service(&self, column: &str) -> Value {
        let provider =
            || if self.provider.is_empty() { said("unknown") } else { text(&self.provider) };
        match column {
            "InvoiceIssuerName"
            | "ProviderName"
            | "PublisherName"
            | "ServiceProviderName"
            | "HostProviderName"
            | "ServiceName" => provider(),
            "RegionId" | "RegionName" => text(&self.region),
            "ServiceCategory" => said("AI and Machine Learning"),
            "ServiceSubcategory" => said("Generative AI"),
            // The rest is of a model, and there is none when a lease was lost.
            _ if !self.is_usage() => Value::Null,
            "ResourceId" | "SkuId" if !self.model.is_empty() => {
                Value::Text(format!("{}/{}", self.provider, self.model))
            }
            "ResourceName" => text(&self.model),
            "ResourceType" if !self.model.is_empty() => said("Model"),
            "SkuMeter" | "ConsumedUnit" | "PricingUnit" => said(self.unit()),
            "ConsumedQuantity" | "PricingQuantity" => Value::Decimal(self.quantity() * ONE),
            "SkuPriceId" => text(&self.price_id),
            "PricingCategory" => said("Standard"),
            _ => Value::Null,
        }
    }

    /// To whom the cost goes; nothing where nobody is known.
    fn allocated(&self, column: &str) -> Value {
        let levels = [
            ("organisation", &self.organisation),
            ("team", &self.team),
            ("project", &self.project),
            ("agent", &self.agent),
            ("key", &self.key),
        ];
        let finest =
            levels.iter().rev().find(|(level, name)| !name.is_empty() && *level != "organisation");
        match column {
            "AllocatedMethodId" => said(METHOD),
            "AllocatedResourceId" if finest.is_some() => {
                let named = levels.iter().filter(|(_, name)| !name.is_empty());
                let path: Vec<String> =
                    named.map(|(level, name)| format!("{level}/{name}")).collect();
                Value::Text(path.join("/"))
            }
            "AllocatedResourceName" => finest.map_or(Value::Null, |(_, name)| text(name)),
            "AllocatedTags" => Value::Text(self.json(true, false)),
            _ => Value::Null,
        }
    }

    fn ours(&self, column: &str) -> Value {
        let count = |number: i128| Value::Decimal(number.saturating_mul(ONE));
        let total = &self.total;
        match column {
            "x_ModelAsked" => text(&self.model_asked),
            "x_Surface" => text(&self.surface),
            "x_UsageSource" => said(match self.usage_source {
                0 => "provider",
                1 => "counted",
                2 => "estimated",
                _ => "absent",
            }),
            "x_Requests" => count(total.requests),
            "x_InputTokens" => count(total.input),
            "x_CacheReadTokens" => count(total.cache_read),
            "x_CacheWriteTokens" => count(total.cache_write + total.cache_write_long),
            "x_OutputTokens" => count(total.output),
            "x_ReasoningTokens" => count(total.reasoning),
            "x_SavedByCache" => Value::Decimal(total.saved_by_cache),
            "x_SavedByRouting" => Value::Decimal(total.saved_by_routing),
            "x_Wasted" => Value::Decimal(total.wasted),
            _ => Value::Null,
        }
    }

    /// In 1.3 who pays has columns of its own, and tags are those of the request.
    fn tags(&self, version: Version) -> Value {
        Value::Text(self.json(version == Version::V1_2, true))
    }

    fn json(&self, has_payer: bool, has_tags: bool) -> String {
        let mut out = Vec::new();
        let mut json = JsonWriter::new(&mut out);
        json.object();
        let payer = [
            ("faregate/team", &self.team),
            ("faregate/project", &self.project),
            ("faregate/agent", &self.agent),
            ("faregate/key", &self.key),
            ("faregate/user", &self.user),
        ];
        for (name, value) in payer.into_iter().filter(|(_, value)| has_payer && !value.is_empty()) {
            json.member_str(name, value);
        }
        for (name, value) in tags_of(&self.tags).iter().filter(|_| has_tags) {
            json.member_str(name, value);
        }
        json.end();
        String::from_utf8(out).unwrap_or_default()
    }

    fn description(&self) -> String {
        let Self { surface, model, provider, .. } = self;
        match self.kind {
            LOST_LEASE => "Money set aside of which nobody can say what became".into(),
            CORRECTION => format!("Correction of {surface} requests to {provider}/{model}"),
            _ => format!("{surface} requests to {provider}/{model}"),
        }
    }

    const fn is_usage(&self) -> bool {
        self.kind != LOST_LEASE
    }

    const fn unit(&self) -> &'static str {
        if self.total.tokens() > 0 { "Tokens" } else { "Requests" }
    }

    const fn quantity(&self) -> i128 {
        if self.total.tokens() > 0 { self.total.tokens() } else { self.total.requests }
    }
}

fn said(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { said(text) }
}
