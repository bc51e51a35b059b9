//! Runs one group of operations under criterion: each bench is a call of [`group`].

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput};
use faregate_bench::ops::Group;

/// What a run of all benches can afford; criterion's own choice would take three times as long.
const WARM_UP: Duration = Duration::from_millis(300);
const MEASUREMENT: Duration = Duration::from_millis(1500);
const SAMPLES: usize = 40;

/// Times every operation of the group `name`, or runs each of them once with `--test`.
///
/// # Panics
///
/// When there is no such group, or an operation answers something else than it should.
#[expect(clippy::expect_used, reason = "a bench of nothing should not pass")]
pub(crate) fn group(name: &str) {
    let mut criterion = Criterion::default()
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .sample_size(SAMPLES)
        .configure_from_args();
    let group = Group::find(name).expect("a bench is named like its group");
    let mut benches = criterion.benchmark_group(name);
    for operation in group.operations {
        let mut ready = (operation.set_up)();
        ready.check(operation.case);
        if ready.bytes > 0 {
            benches.throughput(Throughput::Bytes(ready.bytes as u64));
        }
        let id = format!("{}/{}", operation.case, operation.by);
        benches.bench_function(id, |bencher| bencher.iter(|| black_box(ready.call())));
        ready.check(operation.case);
    }
    benches.finish();
    criterion.final_summary();
}
