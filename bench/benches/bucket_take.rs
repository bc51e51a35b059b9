//! Units of a limit taken and used: what each limit on a caller's path costs a request.

mod measure;

fn main() {
    measure::group("bucket_take");
}
