//! Whether a read holds whole chunks and nothing else, and the data of each: what lets it be passed on as it is.

mod measure;

fn main() {
    measure::group("chunk_whole");
}
