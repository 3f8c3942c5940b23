//! What every disk must do, and what only the real one does.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::played::Played;
use super::real::Folders;
use super::*;
use crate::spool::OpenError;

fn open(nameless: bool) -> (TempDir, Folders) {
    let folder = tempfile::tempdir().unwrap();
    let mut folders = Folders::open(folder.path()).unwrap();
    assert!(folders.nameless, "the file system of the tests makes files without names");
    folders.nameless = nameless;
    (folder, folders)
}

/// Runs tests that are generic over the disk on each kind of disk.
macro_rules! on_each_disk {
    ($($test:ident)+) => {$(
        #[test]
        fn $test() {
            let (_folder, nameless) = open(true);
            each::$test(&nameless);
            let (_folder, named) = open(false);
            each::$test(&named);
            assert_eq!(names(&named, Folder::Drafts), [""; 0]);
            each::$test(&Played::new(1));
        }
    )+};
}

on_each_disk! {
    files_keep_what_is_written
    parts_are_written_one_behind_the_other
    reading_past_the_end_is_an_error
    a_file_is_made_once
    drafts_are_unseen_and_then_replace
    renames_replace_and_removals_may_be_repeated
    allocation_only_lengthens
    shorter_and_longer_again_is_zeros
    names_are_sorted
}

fn names(vfs: &impl Vfs, folder: Folder) -> Vec<String> {
    let mut names = vfs.names(folder).unwrap();
    names.retain(|name| !["lock", "format", "journal", "blobs", "drafts", "lost+found"].contains(&name.as_str()));
    names
}

fn write(file: &impl VfsFile, offset: u64, bytes: &[u8]) {
    file.write_all_at(&[IoSlice::new(bytes)], offset).unwrap();
}

fn read(file: &impl VfsFile) -> Vec<u8> {
    let mut bytes = vec![1; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

mod each {
    use super::*;

    const FOLDERS: [Folder; 5] = [Folder::Root, Folder::Journal, Folder::Blobs(0xa7), Folder::Drafts, Folder::Lost];

    pub(super) fn files_keep_what_is_written<V: Vfs>(vfs: &V) {
        for folder in FOLDERS {
            assert_eq!(vfs.open(folder, "file").err().unwrap().kind(), io::ErrorKind::NotFound);
            assert_eq!(names(vfs, folder), [""; 0]);
            vfs.sync_folder(folder).unwrap();
            let file = vfs.create(folder, "file").unwrap();
            write(&file, 3, b"abc");
            write(&file, 5, b"de");
            file.sync_data().unwrap();
            vfs.sync_folder(folder).unwrap();
            assert_eq!(read(&file), b"\0\0\0abde");
            let again = vfs.open(folder, "file").unwrap();
            assert_eq!(read(&again), b"\0\0\0abde");
            write(&again, 0, b"xyz");
            assert_eq!(read(&file), b"xyzabde");
            assert_eq!(names(vfs, folder), ["file"]);
            vfs.remove(folder, "file").unwrap();
            assert_eq!(read(&file), b"xyzabde", "an open file outlives its name");
        }
        let space = vfs.space().unwrap();
        assert!(space.free > 0 && space.free <= space.total);
    }

    pub(super) fn parts_are_written_one_behind_the_other<V: Vfs>(vfs: &V) {
        let file = vfs.create(Folder::Journal, "file").unwrap();
        // More than one call takes, with empty ones.
        let parts: Vec<Vec<u8>> = (0..3_000_u32).map(|part| vec![part as u8; part as usize % 7]).collect();
        let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_all_at(&slices, 10).unwrap();
        file.write_all_at(&[IoSlice::new(b""), IoSlice::new(b"")], 1 << 40).unwrap();
        file.write_all_at(&[], 1 << 40).unwrap();
        assert!(read(&file)[10..] == parts.concat());
    }

    pub(super) fn reading_past_the_end_is_an_error<V: Vfs>(vfs: &V) {
        let file = vfs.create(Folder::Root, "file").unwrap();
        write(&file, 0, b"abc");
        let mut two = [0; 2];
        file.read_exact_at(&mut two, 1).unwrap();
        assert_eq!(&two, b"bc");
        for offset in [2, 3, 4, 1 << 40] {
            let error = file.read_exact_at(&mut two, offset).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "at {offset}");
        }
    }

    pub(super) fn a_file_is_made_once<V: Vfs>(vfs: &V) {
        let first = vfs.create(Folder::Journal, "file").unwrap();
        write(&first, 0, b"abc");
        assert_eq!(vfs.create(Folder::Journal, "file").err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&vfs.open(Folder::Journal, "file").unwrap()), b"abc");
        vfs.create(Folder::Lost, "file").unwrap();
    }

    pub(super) fn drafts_are_unseen_and_then_replace<V: Vfs>(vfs: &V) {
        drop(vfs.draft().unwrap());
        for (text, folder) in [("one", Folder::Blobs(0)), ("three", Folder::Blobs(0)), ("two", Folder::Journal)] {
            let draft = vfs.draft().unwrap();
            write(draft.as_ref(), 0, text.as_bytes());
            draft.as_ref().sync_data().unwrap();
            let file = vfs.publish(draft, folder, "file").unwrap();
            vfs.sync_folder(folder).unwrap();
            assert_eq!(read(&vfs.open(folder, "file").unwrap()), text.as_bytes());
            write(&file, 0, b"T");
            assert_eq!(read(&vfs.open(folder, "file").unwrap())[0], b'T');
            assert_eq!(names(vfs, folder), ["file"]);
        }
    }

    pub(super) fn renames_replace_and_removals_may_be_repeated<V: Vfs>(vfs: &V) {
        let folders = [Folder::Journal, Folder::Lost];
        for (from, to) in [(folders[0], folders[0]), (folders[0], folders[1])] {
            write(&vfs.create(from, "a").unwrap(), 0, b"a");
            write(&vfs.create(to, "b").unwrap(), 0, b"b");
            vfs.rename((from, "a"), (to, "b")).unwrap();
            assert_eq!(read(&vfs.open(to, "b").unwrap()), b"a");
            assert!(!names(vfs, from).contains(&"a".to_owned()));
            vfs.remove(to, "b").unwrap();
            vfs.remove(to, "b").unwrap();
            assert_eq!(names(vfs, to), [""; 0]);
            let absent = vfs.rename((from, "a"), (to, "b")).unwrap_err();
            assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        }
        vfs.remove(Folder::Blobs(9), "nothing").unwrap();
        vfs.create(Folder::Journal, "same").unwrap();
        vfs.rename((Folder::Journal, "same"), (Folder::Journal, "same")).unwrap();
        assert_eq!(names(vfs, Folder::Journal), ["same"]);
    }

    pub(super) fn allocation_only_lengthens<V: Vfs>(vfs: &V) {
        let file = vfs.create(Folder::Journal, "file").unwrap();
        write(&file, 0, b"abc");
        file.allocate(100_000).unwrap();
        let mut is = vec![0; 100_000];
        is[..3].copy_from_slice(b"abc");
        assert!(read(&file) == is);
        write(&file, 99_998, b"yz");
        file.allocate(5).unwrap();
        is[99_998..].copy_from_slice(b"yz");
        assert!(read(&file) == is);
    }

    pub(super) fn shorter_and_longer_again_is_zeros<V: Vfs>(vfs: &V) {
        let file = vfs.create(Folder::Journal, "file").unwrap();
        write(&file, 0, &[7; 10_000]);
        file.set_len(4_100).unwrap();
        assert!(read(&file) == [7; 4_100]);
        file.set_len(12_000).unwrap();
        let is = read(&file);
        assert!(is[..4_100] == [7; 4_100] && is[4_100..] == [0; 7_900]);
        file.set_len(0).unwrap();
        assert_eq!(file.len().unwrap(), 0);
    }

    pub(super) fn names_are_sorted<V: Vfs>(vfs: &V) {
        for name in ["b", "a", "10", "9"] {
            vfs.create(Folder::Journal, name).unwrap();
        }
        assert_eq!(names(vfs, Folder::Journal), ["10", "9", "a", "b"]);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn everything_is_private() {
    for nameless in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/spool");
        let mut folders = Folders::open(&root).unwrap();
        folders.nameless = nameless;
        folders.create(Folder::Journal, "made").unwrap();
        folders.publish(folders.draft().unwrap(), Folder::Blobs(10), "published").unwrap();
        for name in ["", "journal", "blobs", "blobs/0a", "drafts", "lost+found"] {
            assert_eq!(mode(&root.join(name)), 0o700, "{name}");
        }
        for name in ["lock", "format", "journal/made", "blobs/0a/published"] {
            assert_eq!(mode(&root.join(name)), 0o600, "{name}");
        }
        drop(folders);
        std::fs::set_permissions(root.join("journal"), std::fs::Permissions::from_mode(0o755)).unwrap();
        drop(Folders::open(&root).unwrap());
        assert_eq!(mode(&root.join("journal")), 0o700);
    }
}

#[test]
fn one_at_a_time_has_it() {
    let (folder, folders) = open(true);
    assert!(matches!(Folders::open(folder.path()), Err(OpenError::Locked)));
    drop(folders);
    Folders::open(folder.path()).unwrap();
}

#[test]
fn what_is_no_file_of_ours_is_not_opened() {
    let (folder, folders) = open(true);
    let journal = folder.path().join("journal");
    std::fs::write(folder.path().join("elsewhere"), "x").unwrap();
    symlink(folder.path().join("elsewhere"), journal.join("link")).unwrap();
    std::fs::create_dir(journal.join("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        journal.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    for name in ["link", "folder", "pipe"] {
        let error = folders.open(Folder::Journal, name).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
    }
    // A link in a folder's place is not followed either.
    std::fs::create_dir(folder.path().join("other")).unwrap();
    symlink(folder.path().join("other"), folder.path().join("blobs/07")).unwrap();
    assert!(folders.create(Folder::Blobs(7), "file").is_err());
    assert!(folders.names(Folder::Blobs(7)).is_err());
}

#[test]
fn another_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = |file: &str, content: Option<&str>| {
        let root = tempfile::tempdir_in(&folder).unwrap();
        match content {
            Some(content) => std::fs::write(root.path().join(file), content).unwrap(),
            None => std::fs::create_dir(root.path().join(file)).unwrap(),
        }
        let opened = Folders::open(root.path()).map(|_| ());
        (opened, root.path().join("journal").exists())
    };
    for (file, content) in [
        ("messages", None),
        ("format", Some("hikyaku spool 3\n")),
        ("format", Some("hikyaku spool 2\n\n")),
        ("format", Some("hikyaku spool 2")),
        ("format", Some("")),
    ] {
        assert!(matches!(open(file, content), (Err(OpenError::Version), false)), "{file} {content:?}");
    }
    assert!(matches!(open("format", Some("hikyaku spool 2\n")), (Ok(()), true)));
    assert!(matches!(open("unknown", Some("")), (Ok(()), true)));
}

#[test]
fn the_format_is_written_once() {
    let (folder, folders) = open(true);
    drop(folders);
    let format = folder.path().join("format");
    let before = std::fs::metadata(&format).unwrap().ino();
    drop(Folders::open(folder.path()).unwrap());
    assert_eq!(std::fs::metadata(&format).unwrap().ino(), before);
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "hikyaku spool 2\n");
}

#[test]
fn drafts_go_at_the_next_start_and_what_is_none_is_in_nobodys_way() {
    let (folder, mut folders) = open(true);
    let drafts = folder.path().join("drafts");
    std::mem::forget({
        folders.nameless = false;
        folders.draft().unwrap()
    });
    assert_eq!(std::fs::read_dir(&drafts).unwrap().count(), 1);
    drop(folders);
    drop(Folders::open(folder.path()).unwrap());
    assert_eq!(std::fs::read_dir(&drafts).unwrap().count(), 0);
    for number in 0..4 {
        std::fs::create_dir(drafts.join(number.to_string())).unwrap();
    }
    let mut folders = Folders::open(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(&drafts).unwrap().count(), 4);
    folders.nameless = false;
    write(folders.draft().unwrap().as_ref(), 0, b"x");
    assert_eq!(std::fs::read_dir(&drafts).unwrap().count(), 4);
}

#[test]
fn what_is_allocated_has_blocks() {
    let (folder, folders) = open(true);
    folders.create(Folder::Journal, "file").unwrap().allocate(1 << 20).unwrap();
    let metadata = std::fs::metadata(folder.path().join("journal/file")).unwrap();
    assert!(metadata.blocks() * 512 >= 1 << 20);
}
