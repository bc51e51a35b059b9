//! Places that are the addresses of a name.

use super::*;

const POLICY: &str = "[providers.pods]\nbase_url = \"https://pods.invalid:8000\"\nreplicas = \"dns\"\n\
                      [models.m]\ntargets = [\"pods/m\"]\n";

/// The name has these addresses.
fn found(last: &[u8]) -> Found {
    let addresses = last.iter().map(|last| IpAddr::from([127, 0, 9, *last])).collect();
    Found::from([(("pods.invalid".to_owned(), 8000), addresses)])
}

#[test]
fn every_address_is_a_place_of_its_own_with_the_name_s_certificate_and_a_new_one_warms_up() {
    let (resolver, keeper) = (Resolver::start().unwrap(), Keeper::start().unwrap());
    let builder = Builder::new(resolver, keeper, 1);
    builder.resolver.watch(Vec::new(), found(&[1, 2]));
    let first = builder.build(POLICY, "p.toml", None).unwrap();
    let places = &first.targets[0].upstreams;
    assert_eq!(places.len(), 2);
    assert_ne!(places[0].id, places[1].id);
    assert_ne!(places[0].name.place(), places[1].name.place());
    for place in places {
        assert_eq!(place.host, "pods.invalid:8000");
        let (_, name) = place.tls.as_ref().unwrap();
        assert_eq!(name.to_str(), "pods.invalid");
        assert!(
            place.warmth.lets(faregate_policy::Nanos(7), u64::MAX),
            "all are there from the start"
        );
    }
    // One goes, another comes: the one that stays is the same place, with its connections.
    builder.resolver.watch(Vec::new(), found(&[2, 3]));
    let second = builder.build(POLICY, "p.toml", Some(&first)).unwrap();
    let after = &second.targets[0].upstreams;
    assert_eq!((after.len(), after[0].id), (2, places[1].id));
    assert!(!places.iter().any(|place| place.id == after[1].id));
    let lets = |place: &Upstream| place.warmth.lets(faregate_policy::Nanos(7), u64::MAX);
    assert_eq!([lets(&after[0]), lets(&after[1])], [true, false]);
}
