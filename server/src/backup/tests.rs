use std::collections::BTreeMap;

use fieldbook_core::company::NewLead;
use fieldbook_core::document::{Edit, NoClocks, Value};
use fieldbook_core::ids::{DeviceId, DocId, DocKind, EntryId, Hash32};

use super::*;
use crate::app::SystemClock;
use crate::engine::store_path;

fn config(data_dir: &Path, engine: &str) -> Config {
    let variables = [
        ("FIELDBOOK_SERVER_DATA_DIR", data_dir.display().to_string()),
        ("FIELDBOOK_STORE_ENGINE", engine.to_owned()),
    ];
    Config::load(None, variables.into_iter().map(|(k, v)| (k.to_owned(), v))).unwrap()
}

fn open(config: &Config) -> Arc<App> {
    App::open(config.clone(), Arc::new(SystemClock)).unwrap()
}

fn add_lead(app: &App, n: u8) -> DocId {
    let id = DocId::fresh(DocKind::Lead, EntryId([n; 16]));
    let edit = Edit::Set { field: "customer_name".into(), value: Value::Text(format!("医院{n}")) };
    app.company.intake(&[NewLead { id, edits: vec![edit], ..NewLead::default() }], app.now_ms()).unwrap();
    id
}

fn add_evidence(app: &App, bytes: &[u8]) -> Hash32 {
    let hash = Hash32(Sha256::digest(bytes).into());
    app.evidence.put_part(DeviceId([1; 8]), hash, bytes.len() as u64, 0, bytes).unwrap();
    hash
}

/// A company with a lead, a photo and a backup of them; then another lead that the backup does not know.
struct Scene {
    folder: tempfile::TempDir,
    app: Arc<App>,
    lead: DocId,
    late: DocId,
    photo: Hash32,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let app = open(&config(&folder.path().join("data"), "redb"));
    let lead = add_lead(&app, 1);
    let photo = add_evidence(&app, b"a signed form");
    let manifest = make(&app, &folder.path().join("backup")).unwrap();
    assert_eq!((manifest.blobs, manifest.blob_bytes, manifest.epoch), (1, 13, 1));
    let late = add_lead(&app, 2);
    Scene { folder, app, lead, late, photo }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path)
            } else {
                drop(found.insert(path.clone(), fs::read(path).unwrap()))
            }
        }
    }
    found
}

#[test]
fn a_backup_of_a_running_company_is_restored_under_either_engine_in_a_new_epoch() {
    let scene = scene();
    let backup = scene.folder.path().join("backup");
    let before = files(&backup);
    for engine in ["redb", "sled"] {
        let config = config(&scene.folder.path().join(engine), engine);
        restore(&config, &backup, None).unwrap();
        let app = open(&config);
        assert!(app.company.epoch() > 1, "{engine}");
        let lead = app.company.load(scene.lead).unwrap();
        assert_eq!(lead.value("customer_name", &NoClocks), Some(Value::Text("医院1".into())));
        assert!(app.company.load(scene.late).is_err(), "{engine}: it came after the backup");
        assert!(app.evidence.is_acknowledged_to(DeviceId([1; 8]), scene.photo).unwrap());
        assert!(!app.evidence.is_acknowledged_to(DeviceId([2; 8]), scene.photo).unwrap());
        let found = verify(&app).unwrap();
        assert_eq!((found.damaged, found.blobs), (vec![], 1), "{engine}");
    }
    assert_eq!(files(&backup), before, "restoring leaves the backup as it was");
}

#[test]
fn a_backup_never_overwrites_and_a_restore_never_overwrites() {
    let scene = scene();
    let backup = scene.folder.path().join("backup");
    assert!(matches!(make(&scene.app, &backup), Err(BackupError::Exists(_))));
    for engine in ["redb", "sled"] {
        let refused = restore(&config(&scene.folder.path().join("data"), engine), &backup, None);
        assert!(matches!(refused, Err(BackupError::NotEmpty(_))), "{engine}");
    }
}

#[test]
fn a_damaged_or_foreign_backup_is_refused_and_leaves_no_store() {
    let scene = scene();
    let backup = scene.folder.path().join("backup");
    let target = config(&scene.folder.path().join("target"), "redb");
    let blob = files(&backup.join("evidence")).into_keys().next().unwrap();
    let manifest = backup.join("manifest.json");
    type Spoil = (PathBuf, fn(&mut Vec<u8>), &'static str);
    let spoils: [Spoil; 5] = [
        (backup.join("evidence.sent"), |bytes| bytes[3] ^= 1, "evidence.sent is not what"),
        (backup.join("store.redb"), |bytes| bytes[5_000] ^= 1, "store.redb is not what"),
        (blob, |bytes| bytes[3] ^= 1, "is not what its name says"),
        (manifest.clone(), |bytes| *bytes = b"{}".to_vec(), "no backup that this version reads"),
        (
            manifest,
            |bytes| {
                *bytes = String::from_utf8_lossy(bytes).replace("\"format\": 2", "\"format\": 9").into_bytes()
            },
            "format 9",
        ),
    ];
    for (path, spoil, expected) in spoils {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_ne!(bad, good);
        fs::write(&path, bad).unwrap();
        let refused = restore(&target, &backup, None).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        assert!(!store_path(target.engine, &target.data_dir).exists());
        fs::write(&path, good).unwrap();
    }
    // The same folder takes the good backup afterwards.
    restore(&target, &backup, None).unwrap();
}

#[test]
fn tombstones_that_are_missing_where_they_should_be_or_damaged_stop_a_restore() {
    let scene = scene();
    let backup = scene.folder.path().join("backup");
    let target = config(&scene.folder.path().join("target"), "redb");
    let nowhere = scene.folder.path().join("backup");
    let refused = restore(&target, &backup, Some(&nowhere)).unwrap_err();
    assert!(matches!(refused, BackupError::NoTombstones(_)), "a backup holds none: {refused}");
    let file = scene.folder.path().join("copy");
    fs::write(&file, "1 device 0303030303030303 stolen 0000000000000000\n").unwrap();
    let refused = restore(&target, &backup, Some(&file)).unwrap_err();
    assert!(matches!(refused, BackupError::Tombstones(_)), "{refused}");
    assert!(!store_path(target.engine, &target.data_dir).exists());
    // A server that ended nothing has an empty file, and that is an answer.
    let data = scene.folder.path().join("data");
    assert_eq!(restore(&target, &backup, Some(&data)).unwrap().reapplied, Reapplied::All(0));
}

#[test]
fn verifying_names_what_is_damaged() {
    let scene = scene();
    let name = scene.photo.to_string();
    let blob = scene.folder.path().join("data/evidence/blobs").join(&name[..2]).join(&name);
    fs::write(blob, b"another form").unwrap();
    assert_eq!(verify(&scene.app).unwrap().damaged, [format!("evidence {name}")]);
}

#[test]
fn only_its_owner_enters_a_backup_and_a_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let scene = scene();
    let target = config(&scene.folder.path().join("target"), "redb");
    restore(&target, &scene.folder.path().join("backup"), None).unwrap();
    for folder in ["data", "backup", "target"] {
        let mode = fs::metadata(scene.folder.path().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
}
