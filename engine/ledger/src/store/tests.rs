//! What a fold writes, and what it never does.

use faregate_price::NanoUsd;

use super::{stored::TOKENS_MAX, *};
use crate::{
    month::{DAY, HOUR},
    row::{Row, RowKind},
    sample::Sample,
};

/// 2026-11-01 in UTC.
const NOVEMBER: u64 = 1_793_491_200_000_000_000;

fn rows(count: usize) -> Vec<Row> {
    let mut sample = Sample::new(1, NOVEMBER, HOUR / 4, 20);
    (0..count).map(|_| sample.row()).collect()
}

fn number(store: &Store, sql: &str) -> i64 {
    store.connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn cost(rows: &[Row]) -> i64 {
    rows.iter().map(|row| stored::signed(row, row.cost)).sum()
}

fn november() -> Month {
    "2026-11".parse().unwrap()
}

#[test]
fn rows_come_back_as_they_were() {
    let mut rows = rows(200);
    rows[3].corrects = Some(rows[0].id);
    rows[3].kind = RowKind::Correction;
    rows[3].is_credit = true;
    std::sync::Arc::make_mut(&mut rows[4].payer).tags =
        vec![("a".into(), "quote\" and \n line".into())];
    rows[5].scopes = ["team/search".into(), "key/ci".into()].into();
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows, None).unwrap();
    for row in &rows {
        let found = stored::find(&store.connection, 1, row.id.number).unwrap();
        assert_eq!(&found, row);
    }
}

#[test]
fn sums_of_hours_and_days_are_the_rows() {
    let rows = rows(3_000);
    let mut store = Store::in_memory().unwrap();
    for batch in rows.chunks(700) {
        store.fold(batch, None).unwrap();
    }
    for table in ["hour", "day", "entry"] {
        assert_eq!(
            number(&store, &format!("SELECT sum(cost) FROM {table}")),
            cost(&rows),
            "{table}"
        );
        let input: u64 = rows.iter().map(|row| row.usage.input).sum();
        assert_eq!(
            number(&store, &format!("SELECT sum(input) FROM {table}")).cast_unsigned(),
            input,
            "{table}"
        );
    }
    assert_eq!(number(&store, "SELECT sum(entries) FROM day"), 3_000);
    assert!(
        number(&store, "SELECT count(*) FROM day") < number(&store, "SELECT count(*) FROM hour")
    );
}

#[test]
fn a_row_that_comes_twice_is_one_row() {
    let rows = rows(100);
    let mut store = Store::in_memory().unwrap();
    assert_eq!(store.fold(&rows[..60], None).unwrap().new, 60);
    let folded = store.fold(&rows, None).unwrap();
    assert_eq!((folded.new, folded.known), (40, 60));
    let twice: Vec<Row> = rows[..1].iter().chain(&rows[..1]).cloned().collect();
    assert_eq!(store.fold(&twice, None).unwrap().known, 2);
    assert_eq!(number(&store, "SELECT sum(cost) FROM hour"), cost(&rows));
}

#[test]
fn a_different_row_of_the_same_name_changes_nothing() {
    let mut rows = rows(10);
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows[..5], Some(Position { node: 9, segment: 1, offset: 10 })).unwrap();
    rows[2].cost = NanoUsd(rows[2].cost.0 + 1);
    let error = store.fold(&rows, Some(Position { node: 9, segment: 1, offset: 20 })).unwrap_err();
    assert_eq!(error, StoreError::Conflict(rows[2].id));
    assert_eq!(number(&store, "SELECT count(*) FROM entry"), 5);
    assert_eq!(store.position(9).unwrap().map(|position| position.offset), Some(10));
    // Names that were made on the way went back with the rest; they are made again.
    rows[2].cost = NanoUsd(rows[2].cost.0 - 1);
    assert_eq!(store.fold(&rows, None).unwrap().new, 5);
    assert_eq!(number(&store, "SELECT sum(cost) FROM hour"), cost(&rows));
}

#[test]
fn the_journals_place_is_kept_for_each_node() {
    let mut store = Store::in_memory().unwrap();
    let place = Position { node: u64::MAX, segment: 3, offset: u64::MAX };
    store.fold(&[], Some(place)).unwrap();
    assert_eq!(store.position(u64::MAX).unwrap(), Some(place));
    assert_eq!(store.position(1).unwrap(), None);
}

#[test]
fn what_no_request_can_cost_is_kept_aside() {
    let mut rows = rows(3);
    rows[0].cost = NanoUsd::MAX;
    rows[1].usage.input = u64::MAX;
    let mut store = Store::in_memory().unwrap();
    assert_eq!(store.fold(&rows, None).unwrap().aside, 1);
    assert_eq!(store.fold(&rows, None).unwrap().aside, 0);
    assert_eq!(store.aside().unwrap(), 1);
    assert_eq!(number(&store, "SELECT sum(cost) FROM hour"), cost(&rows[1..]));
    assert_eq!(
        number(&store, "SELECT max(input) FROM entry").cast_unsigned(),
        TOKENS_MAX,
        "counts stop where sums stay sums"
    );
}

#[test]
fn a_credit_takes_off() {
    let mut rows = rows(2);
    rows[1].is_credit = true;
    rows[1].kind = RowKind::Correction;
    rows[1].corrects = Some(rows[0].id);
    rows[1].cost = rows[0].cost;
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows, None).unwrap();
    assert_eq!(number(&store, "SELECT sum(cost) FROM day"), 0);
    assert_eq!(number(&store, "SELECT sum(requests) FROM day"), 1);
}

#[test]
fn a_closed_month_stays_as_it_is() {
    let rows = rows(200);
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows[..150], None).unwrap();
    assert!(matches!(store.close(november(), november().end() - 1), Err(StoreError::Close(_))));
    let closed = store.close(november(), november().end()).unwrap();
    assert_eq!((closed.entries, closed.cost), (150, cost(&rows[..150])));
    assert!(matches!(store.close(november(), november().end()), Err(StoreError::Close(_))));
    let folded = store.fold(&rows, None).unwrap();
    assert_eq!((folded.new, folded.known, folded.late), (50, 150, 50));
    assert_eq!(store.verify(november()).unwrap(), Some(Verdict::Good(closed)));
    assert_eq!(number(&store, "SELECT sum(cost) FROM hour"), cost(&rows));
    let december = "2026-12".parse().unwrap();
    assert_eq!(store.verify(december).unwrap(), None);
    assert_eq!(store.close(december, u64::MAX).unwrap().cost, cost(&rows[150..]));
}

#[test]
fn a_store_made_again_from_the_journal_is_the_same() {
    let rows = rows(150);
    let mut hashes = Vec::new();
    for batch in [1, 7, 150] {
        let mut store = Store::in_memory().unwrap();
        // Another order, too: what comes first gets the first number for its names.
        for rows in rows.chunks(batch).rev() {
            store.fold(rows, None).unwrap();
        }
        let closed = store.close(november(), u64::MAX).unwrap();
        hashes.push((closed.entries_sha256, closed.sums_sha256, closed.cost));
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "{hashes:?}");
}

#[test]
fn a_changed_month_is_found() {
    let rows = rows(50);
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows, None).unwrap();
    store.close(november(), u64::MAX).unwrap();
    for change in [
        "UPDATE entry SET cost = cost + 1 WHERE number = 7",
        "UPDATE hour SET cost = cost + 1 WHERE span = (SELECT min(span) FROM hour)",
        "DELETE FROM entry WHERE number = 7",
    ] {
        store.connection.execute_batch(&format!("SAVEPOINT a; {change}")).unwrap();
        let verdict = store.verify(november()).unwrap();
        assert!(matches!(verdict, Some(Verdict::Changed(..))), "{change}: {verdict:?}");
        store.connection.execute_batch("ROLLBACK TO a; RELEASE a").unwrap();
    }
    assert!(matches!(store.verify(november()).unwrap(), Some(Verdict::Good(_))));
}

#[test]
fn deleted_rows_leave_their_sums_and_their_names() {
    let rows = rows(200);
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows, None).unwrap();
    let open = store.compact(u64::MAX).unwrap();
    assert_eq!((open.deleted, open.open), (0, 200), "an open month keeps its rows");
    store.close(november(), november().end()).unwrap();
    let cut = NOVEMBER + DAY;
    let old = rows.iter().filter(|row| row.settled_at < cut).count();
    assert!(old > 10 && old < 200);
    assert_eq!(store.compact(cut).unwrap().deleted, old);
    assert_eq!(number(&store, "SELECT sum(cost) FROM hour"), cost(&rows));
    let folded = store.fold(&rows, None).unwrap();
    assert_eq!((folded.new, folded.known), (0, 200));
    assert_eq!(number(&store, "SELECT sum(cost) FROM hour"), cost(&rows));
    assert!(matches!(store.verify(november()).unwrap(), Some(Verdict::SumsGood(_))));
}

#[test]
fn rows_go_in_small_steps_and_reports_and_closed_months_stay_what_they_were() {
    let rows = rows(500);
    let mut store = Store::in_memory().unwrap();
    store.fold(&rows, None).unwrap();
    assert_eq!(store.oldest_open(november().end() - 1).unwrap(), None, "it has not ended");
    assert_eq!(store.oldest_open(november().end()).unwrap(), Some(november()));
    assert_eq!(store.newest().unwrap(), rows.iter().map(|row| row.settled_at).max().unwrap());
    let closed = store.close(november(), november().end()).unwrap();
    assert_eq!(store.oldest_open(u64::MAX).unwrap(), None);
    let days = |store: &Store| number(store, "SELECT sum(cost * span + requests) FROM day");
    let before = days(&store);
    let mut deleted = 0;
    while deleted < 500 {
        let step = store.compact_some(november().end(), 37).unwrap();
        assert!((1..=40).contains(&step), "{step} in one step, behind {deleted}");
        deleted += step;
        assert_eq!(number(&store, "SELECT count(*) FROM entry"), 500 - deleted as i64);
        assert_eq!(days(&store), before);
        assert_eq!(store.verify(november()).unwrap(), Some(Verdict::SumsGood(closed.clone())));
        assert_eq!(store.fold(&rows[..200], None).unwrap().new, 0, "what is gone is known");
    }
    assert_eq!(store.compact_some(november().end(), 37).unwrap(), 0);
    let sources = number(&store, "SELECT count(DISTINCT source) FROM gone");
    assert_eq!(number(&store, "SELECT count(*) FROM gone"), sources, "one range of each process");
}

#[test]
fn a_store_is_found_again_and_a_later_one_is_refused() {
    let folder = std::env::temp_dir().join(format!("faregate-ledger-{}", std::process::id()));
    let rows = rows(20);
    assert!(matches!(Store::read(&folder), Err(StoreError::Missing(_))));
    Store::open(&folder).unwrap().fold(&rows, None).unwrap();
    let mut store = Store::open(&folder).unwrap();
    assert_eq!(store.fold(&rows, None).unwrap().known, 20);
    assert_eq!(number(&Store::read(&folder).unwrap(), "SELECT count(*) FROM entry"), 20);
    assert!(Store::read(&folder).unwrap().fold(&rows, None).is_err(), "a reader writes nothing");
    store.connection.execute("UPDATE schema SET version = 9", []).unwrap();
    assert_eq!(Store::open(&folder).unwrap_err(), StoreError::Version(9, 2));
    assert_eq!(Store::read(&folder).unwrap_err(), StoreError::Version(9, 2));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_store_of_the_version_before_gets_its_sums_over_users() {
    let mut store = Store::in_memory().unwrap();
    let mut sample = Sample::new(1, NOVEMBER, HOUR / 200, 200);
    let rows: Vec<Row> = (0..1000).map(|_| sample.row()).collect();
    rows.chunks(100).for_each(|rows| assert_eq!(store.fold(rows, None).unwrap().new, 100));
    let cells = |store: &Store, table: &str| -> Vec<Vec<i64>> {
        let select = format!("SELECT * FROM {table} ORDER BY span, payer, work");
        let mut statement = store.connection.prepare(&select).unwrap();
        let cells = statement
            .query_map([], |row| (0..3 + SUMS.len()).map(|at| row.get(at)).collect())
            .unwrap();
        cells.collect::<Result<_, _>>().unwrap()
    };
    let (before, hours) = (cells(&store, "crowd_hour"), cells(&store, "hour"));
    assert!(!before.is_empty() && before.len() < hours.len());
    for at in 3..3 + SUMS.len() {
        let sum = |cells: &[Vec<i64>]| cells.iter().map(|cell| cell[at]).sum::<i64>();
        assert_eq!(sum(&before), sum(&hours), "{}", SUMS[at - 3]);
    }
    let older = "DROP TABLE crowd_hour; UPDATE schema SET version = 1";
    store.connection.execute_batch(older).unwrap();
    migrate(&mut store.connection).unwrap();
    assert_eq!(cells(&store, "crowd_hour"), before);
}

#[test]
fn a_file_in_which_nothing_was_made_yet_has_no_rows_and_a_strange_one_is_refused() {
    let folder = std::env::temp_dir().join(format!("faregate-begun-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let connection = Connection::open(folder.join(FILE)).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    assert_eq!(number(&Store::read(&folder).unwrap(), "SELECT count(*) FROM entry"), 0);
    connection.execute_batch("CREATE TABLE other (id INTEGER)").unwrap();
    assert_eq!(Store::read(&folder).unwrap_err(), StoreError::Version(0, 2));
    fs::remove_dir_all(folder).unwrap();
}
