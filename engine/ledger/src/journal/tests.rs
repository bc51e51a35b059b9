//! Records as bytes and back; the journal on a disk that fails.

mod counted;
mod crash;
mod damage;
mod gateway;
mod rows;

use super::{bytes::Reader, decode::decode, dictionary::Dictionary, encode::encode, *};

#[test]
fn every_record_comes_back_as_it_was() {
    let mut written = Dictionary::default();
    let mut out = Vec::new();
    let records = rows::one_of_each();
    for record in &records {
        encode(record, &mut written, &mut out);
    }
    let (mut reader, mut read) = (Reader::new(&out), Dictionary::default());
    for record in &records {
        assert_eq!(decode(&mut reader, &mut read).as_ref(), Ok(record));
    }
    assert!(reader.is_empty());
}

#[test]
fn a_typical_row_takes_less_than_two_hundred_bytes() {
    let mut dictionary = Dictionary::default();
    let mut out = Vec::new();
    let rows = 1000;
    for number in 1..=rows {
        encode(&Record::Row(Box::new(rows::typical(number))), &mut dictionary, &mut out);
    }
    let each = out.len() as u64 / rows;
    assert!((60..200).contains(&each), "{each} bytes a row");
}

#[test]
fn a_cut_record_is_malformed_wherever_it_is_cut() {
    for record in rows::one_of_each() {
        let mut out = Vec::new();
        encode(&record, &mut Dictionary::default(), &mut out);
        for end in 0..out.len() {
            let cut = decode(&mut Reader::new(&out[..end]), &mut Dictionary::default());
            assert!(cut.is_err(), "{record:?} cut at {end}");
        }
    }
}

#[test]
fn sums_beyond_all_numbers_stay_at_the_last_one() {
    // Found by fuzzing: a batch with sums that no journal of real rows can have.
    check::segment(&[
        12, 6, 2, 1, 2, 128, 128, 230, 158, 230, 254, 209, 245, 36, 36, 36, 36, 36, 46, 36, 36, 36,
        220, 12, 32, 0, 140, 2, 0, 64, 12, 45, 158, 230, 254, 209, 245, 36, 36, 36, 36, 36, 46, 36,
        36, 36, 220, 12, 32, 0, 140, 2, 0, 255, 255, 255, 255, 59, 255, 255, 255, 255, 255, 248,
        255, 102, 97, 115, 116, 219, 255, 255, 0, 0,
    ]);
    let scope: Arc<str> = "team/a".into();
    let mut balances = Balances::default();
    for _ in 0..2 {
        for quarter in [None, Some(3)] {
            let part = Part::Quarter { scope: scope.clone(), quarter, sum: i128::MAX };
            balances.apply(&Record::Part(part));
        }
    }
    assert_eq!(balances.spent("team/a", Window::ALL), faregate_price::NanoUsd(u64::MAX));
}

#[test]
fn a_long_text_is_cut_between_characters_and_a_long_scope_is_refused() {
    let mut row = rows::typical(1);
    let payer = Arc::make_mut(&mut row.payer);
    payer.key = "ü".repeat(TEXT_BYTES_MAX);
    payer.user = "x".repeat(TEXT_BYTES_MAX + 1);
    let mut out = Vec::new();
    encode(&Record::Row(Box::new(row.clone())), &mut Dictionary::default(), &mut out);
    let Ok(Record::Row(read)) = decode(&mut Reader::new(&out), &mut Dictionary::default()) else {
        unreachable!("a row was written")
    };
    assert_eq!(read.payer.key, "ü".repeat(TEXT_BYTES_MAX / 2));
    assert_eq!(read.payer.user.len(), TEXT_BYTES_MAX);
    row.scopes = [Arc::from("x".repeat(TEXT_BYTES_MAX + 1))].into();
    assert_eq!(fits(&Record::Row(Box::new(row))), Err(Unfit::ScopeName(TEXT_BYTES_MAX + 1)));
}

#[test]
fn a_dictionary_that_goes_back_gives_the_same_numbers_again() {
    let mut dictionary = Dictionary::default();
    let mut first = Vec::new();
    dictionary.put_text(&mut first, "kept");
    let mark = dictionary.mark();
    let (mut lost, mut again) = (Vec::new(), Vec::new());
    dictionary.put_text(&mut lost, "lost");
    dictionary.forget_since(mark);
    dictionary.put_text(&mut again, "lost");
    assert_eq!(lost, again);
}
