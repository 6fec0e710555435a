use super::*;
use serde_json::json;

const ANEW: Again = Again { resume: false, overwrite: false };
const RESUME: Again = Again { resume: true, overwrite: false };
const OVERWRITE: Again = Again { resume: false, overwrite: true };
const BOTH: Again = Again { resume: true, overwrite: true };

fn claim(path: &Path, again: Again, settings: Value) -> Result<Folder, String> {
    Folder::claim(path, "lab", again, &settings).map_err(|error| error.to_string())
}

/// Writes the files of a run.
fn leave(path: &Path) {
    let results = Results { figures: vec!["error".into()], ..Results::default() };
    results.write(path.join("results.json")).unwrap();
    for name in [
        "error.svg",
        "report.html",
        "notes.txt",
        "my.safetensors",
        "trainings/a-0.safetensors",
        "seed-0/posterior.safetensors",
    ] {
        fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        fs::write(path.join(name), "x").unwrap();
    }
    fs::create_dir_all(path.join("seed-1")).unwrap();
    fs::write(path.join("seed-1/compact.safetensors"), "x").unwrap();
}

fn has(path: &Path, name: &str) -> bool {
    path.join(name).exists()
}

#[test]
fn one_at_a_time_and_the_other_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let first = claim(dir.path(), ANEW, json!({})).unwrap();
    let refused = claim(dir.path(), RESUME, json!({})).unwrap_err();
    let process = format!("process {} on {}, since ", std::process::id(), host());
    assert!(refused.contains(&process) && refused.contains("another --out"), "{refused}");
    drop(first);
    claim(dir.path(), ANEW, json!({})).unwrap();
}

#[test]
fn results_stay_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    drop(claim(path, ANEW, json!({ "epochs": 60, "threads": 1 })).unwrap());
    drop(claim(path, ANEW, json!({ "epochs": 30 })).expect("a run that left nothing is no hindrance"));
    leave(path);
    let refused = claim(path, ANEW, json!({ "epochs": 60 })).unwrap_err();
    assert!(refused.contains("epochs 30, now 60") && refused.contains("--overwrite"), "{refused}");
    assert!(
        claim(path, ANEW, json!({ "epochs": 30 })).unwrap_err().contains("earlier run"),
        "of the same settings, too"
    );
    drop(claim(path, RESUME, json!({ "epochs": 30, "threads": 2 })).unwrap());
    let refused = claim(path, RESUME, json!({ "epochs": 60 })).unwrap_err();
    assert!(refused.contains("epochs 30, now 60"), "{refused}");
    assert!(has(path, "results.json") && has(path, "seed-1/compact.safetensors"));
    drop(claim(path, BOTH, json!({ "epochs": 60 })).unwrap());
    assert!(has(path, "results.json") && has(path, "trainings/a-0.safetensors"), "what fits is used");
    drop(claim(path, OVERWRITE, json!({ "epochs": 60 })).unwrap());
    for gone in ["results.json", "report.html", "error.svg", "trainings", "seed-0", "seed-1"] {
        assert!(!has(path, gone), "{gone}");
    }
    assert!(has(path, "notes.txt") && has(path, "my.safetensors"), "what is not a run's stays");
}

#[test]
fn checkpoints_alone_are_kept_too() {
    let dir = tempfile::tempdir().unwrap();
    drop(claim(dir.path(), ANEW, json!({ "beta": 1.0 })).unwrap());
    fs::write(dir.path().join("training.safetensors"), "x").unwrap();
    assert!(claim(dir.path(), ANEW, json!({ "beta": 0.5 })).unwrap_err().contains("beta 1.0, now 0.5"));
}

#[test]
fn a_quick_run_makes_way() {
    let dir = tempfile::tempdir().unwrap();
    drop(claim(dir.path(), ANEW, json!({ "quick": true })).unwrap());
    leave(dir.path());
    drop(claim(dir.path(), ANEW, json!({ "quick": false })).unwrap());
    assert!(!has(dir.path(), "results.json") && !has(dir.path(), "seed-0"));
}

#[test]
fn results_from_before_there_were_locks_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let results = Results { configuration: json!({ "epochs": 60 }), date: "2026-11-23".into(), ..Results::default() };
    results.write(dir.path().join("results.json")).unwrap();
    let refused = claim(dir.path(), RESUME, json!({ "epochs": 30, "new": 1 })).unwrap_err();
    assert!(
        refused.contains("2026-11-23") && refused.contains("epochs 60, now 30") && !refused.contains("new"),
        "{refused}"
    );
}

#[test]
fn seeds_may_become_more_and_the_folders_of_others_go() {
    let dir = tempfile::tempdir().unwrap();
    drop(claim(dir.path(), ANEW, json!({ "seed": 0, "seeds": 2 })).unwrap());
    leave(dir.path());
    assert!(claim(dir.path(), RESUME, json!({ "seed": 0, "seeds": 1 })).unwrap_err().contains("seeds 2, now 1"));
    let folder = claim(dir.path(), RESUME, json!({ "seed": 0, "seeds": 3 })).unwrap();
    folder.only_seeds(0..3);
    assert!(has(dir.path(), "seed-0/posterior.safetensors") && has(dir.path(), "seed-1/compact.safetensors"));
    folder.only_seeds(0..1);
    assert!(has(dir.path(), "seed-0/posterior.safetensors") && !has(dir.path(), "seed-1"));
}
