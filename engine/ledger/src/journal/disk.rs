//! Where the journal lies: the few things it asks of a disk.
//!
//! One folder of files with plain names. A file is created, appended to, cut at its end, renamed over another, removed;
//! nothing is written twice in the same place. What is appended is durable once [`Disk::sync`] has returned, a name once
//! [`Disk::sync_folder`] has. Everything may be lost before that, in any order.

use std::io;

pub mod files;
#[cfg(any(test, feature = "check"))]
pub mod simulated;

pub use files::Files;

/// A folder on a disk.
pub trait Disk {
    /// A file that is appended to.
    type File;
    /// What keeps other processes away as long as it lives.
    type Lock;

    /// Takes the folder for this process alone.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when another process has it.
    fn lock(&self) -> io::Result<Self::Lock>;

    /// The names of all files, in any order.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Bytes of a file: from `offset`, at most `limit`, fewer only at its end.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>>;

    /// The length of a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Creates a file, which must not be there, to append to it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Appends the start of `bytes` and says how many.
    ///
    /// # Errors
    ///
    /// What the system says; nothing was appended then.
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts a file to `length` bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn truncate(&self, file: &mut Self::File, length: u64) -> io::Result<()>;

    /// Makes durable what was appended to a file.
    ///
    /// # Errors
    ///
    /// What the system says. Nobody knows then what is durable, and asking again would not tell.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;

    /// Renames a file, over another one if there is one.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: what was created, renamed, removed.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_folder(&self) -> io::Result<()>;
}

/// Appends all of `bytes`.
pub(crate) fn append_all<D: Disk>(disk: &D, file: &mut D::File, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match disk.append(file, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
