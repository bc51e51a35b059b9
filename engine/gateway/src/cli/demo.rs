//! `faregate demo`: a provider, the gateway in front of it, real traffic through real sockets, and a report.
//!
//! Everything is on loopback and in this process; nothing is left behind.

mod client;
mod report;
mod scenes;
mod stage;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use self::{report::Report, scenes::Scene, stage::Stage};
use super::{Stop, print};

/// Runs every scene, prints the report, and with `serve` stays up until a signal.
pub(super) fn run(serve: bool) -> Result<(), Stop> {
    crate::io::block_signals();
    crate::io::raise_file_limit();
    crate::log::init("off");
    let stage = Stage::build(serve)?;
    let mut report = Report::new(&stage);
    for (number, scene) in scenes::ALL.iter().enumerate() {
        play(&stage, &mut report, scene, number + 1)?;
    }
    print(&report.text(&stage.spend()?))?;
    if serve {
        print(&format!(
            "serving at {} until Ctrl-C; the policy is {} (edit it and see)\n",
            stage.url,
            stage.policy.display()
        ))?;
        stage.until_signal();
    } else {
        stage.end();
    }
    Ok(())
}

fn play(stage: &Stage, report: &mut Report, scene: &Scene, number: usize) -> Result<(), Stop> {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} [{prefix}] {msg}")
        .unwrap_or(ProgressStyle::default_spinner());
    bar.set_style(style);
    bar.set_prefix(format!("{number}/{}", scenes::ALL.len()));
    bar.set_message(scene.title);
    bar.enable_steady_tick(Duration::from_millis(80));
    let outcome = (scene.play)(stage, report, &bar)
        .map_err(|e| Stop { message: format!("scene \"{}\": {e}", scene.title), code: 1 });
    bar.finish_and_clear();
    let outcome = outcome?;
    print(&format!("  \u{2713} {:<46} {outcome}\n", scene.title))
}
