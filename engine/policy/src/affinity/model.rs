//! Every interleaving of writers and a reader at one slot, by loom.

use loom::{sync::Arc, thread};

use super::*;
use crate::Nanos;

/// Prompts whose anchors all lie in the same two buckets, since there are no others.
fn prompt(text: &str) -> Prompt {
    let mut prompt = Prompt::new(&Seed::new([1, 2, 3, 4]), &["loom"]);
    prompt.add_whole(text.as_bytes());
    prompt
}

#[test]
fn loom_a_reader_never_finds_a_replica_that_has_not_read() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let table = Arc::new(Table::new(0));
        // The slots are full, so that both writers take the same one.
        for old in 0..8 {
            table.note(&prompt(&format!("old {old}")), Replica::of(old), Nanos(0));
        }
        let other = Arc::clone(&table);
        let writer = thread::spawn(move || other.note(&prompt("a"), Replica::of(100), Nanos(1)));
        table.note(&prompt("b"), Replica::of(200), Nanos(1));
        for (text, replica) in [("a", 100), ("b", 200)] {
            let warmth = table.look_up(&prompt(text), Nanos(1));
            assert!(warmth.iter().all(|warm| warm.replica == Replica::of(replica)), "{text}");
        }
        assert!(writer.join().is_ok());
    });
}
