//! The columns of FOCUS, from its specification (FinOps Foundation, CC BY 4.0), and ours behind them.

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.2, of May 2025.
    V1_2,
    /// 1.3: as 1.2, with the columns of allocation and of who provides.
    V1_3,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text, or JSON.
    Text,
    /// A decimal number.
    Decimal,
    /// A moment.
    Time,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Type,
    since: Version,
}

/// The columns of a version, in order.
#[must_use]
pub fn columns(version: Version) -> Vec<Column> {
    COLUMNS.iter().filter(|column| column.since <= version).copied().collect()
}

use Type::{Decimal, Text, Time};
use Version::{V1_2, V1_3};

const fn column(name: &'static str, holds: Type, since: Version) -> Column {
    Column { name, holds, since }
}

const COLUMNS: [Column; 76] = [
    column("AllocatedMethodDetails", Text, V1_3),
    column("AllocatedMethodId", Text, V1_3),
    column("AllocatedResourceId", Text, V1_3),
    column("AllocatedResourceName", Text, V1_3),
    column("AllocatedTags", Text, V1_3),
    column("AvailabilityZone", Text, V1_2),
    column("BilledCost", Decimal, V1_2),
    column("BillingAccountId", Text, V1_2),
    column("BillingAccountName", Text, V1_2),
    column("BillingAccountType", Text, V1_2),
    column("BillingCurrency", Text, V1_2),
    column("BillingPeriodEnd", Time, V1_2),
    column("BillingPeriodStart", Time, V1_2),
    column("CapacityReservationId", Text, V1_2),
    column("CapacityReservationStatus", Text, V1_2),
    column("ChargeCategory", Text, V1_2),
    column("ChargeClass", Text, V1_2),
    column("ChargeDescription", Text, V1_2),
    column("ChargeFrequency", Text, V1_2),
    column("ChargePeriodEnd", Time, V1_2),
    column("ChargePeriodStart", Time, V1_2),
    column("CommitmentDiscountCategory", Text, V1_2),
    column("CommitmentDiscountId", Text, V1_2),
    column("CommitmentDiscountName", Text, V1_2),
    column("CommitmentDiscountQuantity", Decimal, V1_2),
    column("CommitmentDiscountStatus", Text, V1_2),
    column("CommitmentDiscountType", Text, V1_2),
    column("CommitmentDiscountUnit", Text, V1_2),
    column("ConsumedQuantity", Decimal, V1_2),
    column("ConsumedUnit", Text, V1_2),
    column("ContractedCost", Decimal, V1_2),
    column("ContractedUnitPrice", Decimal, V1_2),
    column("EffectiveCost", Decimal, V1_2),
    column("HostProviderName", Text, V1_3),
    column("InvoiceId", Text, V1_2),
    column("InvoiceIssuerName", Text, V1_2),
    column("ListCost", Decimal, V1_2),
    column("ListUnitPrice", Decimal, V1_2),
    column("PricingCategory", Text, V1_2),
    column("PricingCurrency", Text, V1_2),
    column("PricingCurrencyContractedUnitPrice", Decimal, V1_2),
    column("PricingCurrencyEffectiveCost", Decimal, V1_2),
    column("PricingCurrencyListUnitPrice", Decimal, V1_2),
    column("PricingQuantity", Decimal, V1_2),
    column("PricingUnit", Text, V1_2),
    column("ProviderName", Text, V1_2),
    column("PublisherName", Text, V1_2),
    column("RegionId", Text, V1_2),
    column("RegionName", Text, V1_2),
    column("ResourceId", Text, V1_2),
    column("ResourceName", Text, V1_2),
    column("ResourceType", Text, V1_2),
    column("ServiceCategory", Text, V1_2),
    column("ServiceName", Text, V1_2),
    column("ServiceProviderName", Text, V1_3),
    column("ServiceSubcategory", Text, V1_2),
    column("SkuId", Text, V1_2),
    column("SkuMeter", Text, V1_2),
    column("SkuPriceDetails", Text, V1_2),
    column("SkuPriceId", Text, V1_2),
    column("SubAccountId", Text, V1_2),
    column("SubAccountName", Text, V1_2),
    column("SubAccountType", Text, V1_2),
    column("Tags", Text, V1_2),
    column("x_ModelAsked", Text, V1_2),
    column("x_Surface", Text, V1_2),
    column("x_UsageSource", Text, V1_2),
    column("x_Requests", Decimal, V1_2),
    column("x_InputTokens", Decimal, V1_2),
    column("x_CacheReadTokens", Decimal, V1_2),
    column("x_CacheWriteTokens", Decimal, V1_2),
    column("x_OutputTokens", Decimal, V1_2),
    column("x_ReasoningTokens", Decimal, V1_2),
    column("x_SavedByCache", Decimal, V1_2),
    column("x_SavedByRouting", Decimal, V1_2),
    column("x_Wasted", Decimal, V1_2),
];
