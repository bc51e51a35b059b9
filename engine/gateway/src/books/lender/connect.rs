//! The store that a policy names.

use faregate_ledger::lease::LeaseStore;
use faregate_policy::policy::{BudgetStore, Secret, StoreUrl};

/// The store, not connected to yet.
///
/// # Errors
///
/// What is missing, for a person.
pub(crate) fn connect(wanted: &BudgetStore) -> Result<Box<dyn LeaseStore>, String> {
    let url = match &wanted.url {
        StoreUrl::Text(url) => url.clone(),
        StoreUrl::Secret(secret) => {
            fetch(secret).map_err(|error| format!("budgets.store.url: {error}"))?
        }
    };
    let password = wanted.password.as_ref().map(fetch).transpose();
    let password = password.map_err(|error| format!("budgets.store.password: {error}"))?;
    open(&url, password, wanted).map_err(|error| format!("budgets.store: {error}"))
}

#[cfg(feature = "redis")]
fn open(
    url: &str,
    password: Option<String>,
    wanted: &BudgetStore,
) -> Result<Box<dyn LeaseStore>, String> {
    use faregate_ledger::lease::redis::{Address, RedisStore};
    let address = Address::parse(url)?.with_password(password);
    Ok(Box::new(RedisStore::new(address, &wanted.prefix, wanted.replicas)))
}

#[cfg(not(feature = "redis"))]
fn open(_: &str, _: Option<String>, _: &BudgetStore) -> Result<Box<dyn LeaseStore>, String> {
    Err("this program was built without the feature redis".to_owned())
}

fn fetch(secret: &Secret) -> Result<String, String> {
    let text =
        match secret {
            Secret::Env(name) => std::env::var(name)
                .map_err(|_| format!("environment variable {name} is not set"))?,
            Secret::File(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        };
    match text.trim() {
        "" => Err("the secret is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}
