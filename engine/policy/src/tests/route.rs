//! Rules of models, default models, and what is wrong with them.

use super::{
    read, reasons, right,
    rules::{caller, key},
    warnings,
};

const MODELS: &str = "[providers.a]\nbase_url = \"http://127.0.0.1:1\"\n[models.cheap]\ntargets = [\"a/x\"]\n\
    [models.dear]\ntargets = [\"a/y\"]\n";

#[test]
fn rules_of_a_model_are_read() {
    let policy = right(&format!(
        "{MODELS}[models.auto]\nroute = [{{ when = \"tools\", use = \"dear\" }}, {{ use = \"cheap\" }}]\n"
    ));
    let found = policy.models.resolve("auto").unwrap();
    assert!(found.targets.is_empty());
    let branches = &policy.models.list()[found.index.unwrap()].branches;
    let read: Vec<_> =
        branches.iter().map(|b| (b.when.as_ref().map(crate::rule::Rule::text), &*b.to)).collect();
    assert_eq!(read, [(Some("tools"), "dear"), (None, "cheap")]);
    let branching =
        ["auto", "default", "unknown", "cheap", "a/z"].map(|name| policy.models.may_branch(name));
    assert_eq!(branching, [true, true, true, false, false]);
    assert_eq!(
        warnings(&format!("{MODELS}[models.alias]\nroute = [{{ use = \"a/z\" }}]\n")).len(),
        1
    );
}

#[test]
fn what_is_wrong_with_rules_is_said() {
    for (lines, reason) in [
        ("route = []", "`models.auto` has no rules"),
        ("route = [\"cheap\"]", "a rule is a table"),
        (
            "route = [{ when = \"tools\" }, { use = \"cheap\" }]",
            "this entry of `models.auto.route` has no use",
        ),
        (
            "route = [{ when = \"tools\", use = \"cheap\" }]",
            "where no rule holds there is nowhere to go",
        ),
        (
            "route = [{ use = \"cheap\" }, { use = \"dear\" }]",
            "this rule always holds, and those behind it never",
        ),
        ("route = [{ use = \"chep\" }]", "nothing answers to model `chep`"),
        (
            "route = [{ use = \"cheap\" }]\ntargets = [\"a/x\"]",
            "`models.auto` has targets and rules",
        ),
        ("route = [{ use = \"cheap\" }]\nsticky = \"user\"", "sticky is without effect on rules"),
        (
            "route = [{ use = \"auto\" }]",
            "the rules and fallbacks of `models.auto` lead on without an end",
        ),
        (
            "targets = [\"a/x\"]\nsticky = \"user\"",
            "sticky is without effect where nothing is drawn by weight",
        ),
        ("targets = [\"a/x\"]\nstrategy = \"cost\"", "there is no price for `a/x`"),
        (
            "targets = [{ target = \"a/x\", weight = 2 }]\nstrategy = \"load\"",
            "a weight is without effect when targets are chosen by what they are like",
        ),
    ] {
        let found = reasons(&format!("{MODELS}[models.auto]\n{lines}\n"));
        assert!(found.iter().any(|found| found.ends_with(reason)), "{lines}: {found:?}");
    }
    let circle = "[models.b]\nroute = [{ use = \"c\" }]\n[models.c]\nroute = [{ when = \"tools\", use = \"b\" }, { use = \"cheap\" }]\n";
    assert_eq!(reasons(&format!("{MODELS}{circle}")).len(), 2);
    let chain = |n: usize| {
        let link = |n| format!("[models.l{n}]\nroute = [{{ use = \"l{}\" }}]\n", n + 1);
        let last = format!("[models.l{n}]\nroute = [{{ use = \"cheap\" }}]\n");
        format!("{MODELS}{}{last}", (1..n).map(link).collect::<String>())
    };
    assert_eq!(reasons(&chain(crate::models::LEADS_MAX)), [""; 0]);
    assert_eq!(reasons(&chain(crate::models::LEADS_MAX + 1)).len(), 1);
}

#[test]
fn fallbacks_lead_to_models_that_have_targets_and_never_in_a_circle() {
    let spare = "[models.spare]\ntargets = [\"a/x\"]\n";
    let of = |lines: &str| {
        reasons(&format!("{MODELS}[models.m]\ntargets = [\"a/x\"]\n{lines}\n{spare}"))
    };
    assert_eq!(of("fallbacks = [\"spare\", \"a/x\"]"), [""; 0]);
    let circle = format!(
        "{MODELS}[models.m]\ntargets = [\"a/x\"]\nfallbacks = [\"n\"]\n[models.n]\ntargets = [\"a/x\"]\n\
         on_context_window = \"m\"\n"
    );
    for found in [of("fallbacks = [\"m\"]"), of("on_content_policy = \"m\""), reasons(&circle)] {
        assert!(found.iter().any(|found| found.contains("lead on without an end")), "{found:?}");
    }
    for (lines, reason) in [
        ("fallbacks = [\"none\"]", "nothing answers to model `none`"),
        ("on_context_window = \"none\"", "nothing answers to model `none`"),
        ("fallbacks = \"ruled\"", "model `ruled` has rules, and a fallback has targets"),
    ] {
        let ruled = "[models.ruled]\nroute = [{ use = \"spare\" }]";
        let found = of(&format!("{lines}\n{ruled}"));
        assert!(found.iter().any(|found| found.ends_with(reason)), "{lines}: {found:?}");
    }
}

#[test]
fn carets_stand_under_the_part_of_a_condition_that_is_wrong() {
    for (when, carets) in [
        ("\"tools and dificulty > 0.7\"", 9),
        ("'tools and dificulty > 0.7'", 9),
        // With escapes the place cannot be told: the whole condition is meant.
        ("\"tools \\u0061nd dificulty > 0.7\"", 32),
    ] {
        let text = format!(
            "{MODELS}[models.auto]\nroute = [{{ when = {when}, use = \"dear\" }}, {{ use = \"cheap\" }}]\n"
        );
        let shown = read(&text).unwrap_err().to_string();
        assert!(shown.contains("there is no `dificulty`"), "{shown}");
        assert!(shown.contains("did you mean `difficulty`?"), "{shown}");
        assert!(shown.contains(&format!("{}\n", "^".repeat(carets))), "{shown}");
        assert!(!shown.contains(&"^".repeat(carets + 1)), "{shown}");
        if carets == 9 {
            let line = shown.lines().find(|line| line.contains("route = ")).unwrap();
            let under = shown.lines().find(|line| line.contains('^')).unwrap();
            assert_eq!(line.find("dificulty"), under.find('^'), "{shown}");
        }
    }
}

#[test]
fn default_models_are_inherited_and_checked() {
    let team = "[organisation]\ndefault_model = \"cheap\"\n[teams.t]\nmodels = [\"cheap\", \"dear\"]\n\
        default_model = \"dear\"\n[teams.u]\n";
    let keys = key("k", '1', "team = \"t\"\n") + &key("l", '2', "team = \"u\"\n");
    let policy = right(&format!("{MODELS}{team}{keys}"));
    assert_eq!(caller(&policy, "k").default_model.as_deref(), Some("dear"));
    assert_eq!(caller(&policy, "l").default_model.as_deref(), Some("cheap"));
    let wrong =
        |line: &str| reasons(&format!("{MODELS}[teams.t]\nmodels = [\"cheap\"]\n{line}\n{keys}"));
    assert!(
        wrong("default_model = \"none\"")
            .iter()
            .any(|r| r.ends_with("nothing answers to model `none`"))
    );
    assert!(
        wrong("default_model = \"dear\"")
            .iter()
            .any(|r| r.contains("not among the models allowed here"))
    );
}
