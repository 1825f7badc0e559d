//! Models from a hub on this machine, and from its cache.
#![cfg(feature = "hub")]

mod server;

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use ddm_models::AutoencoderKl;
use ddm_models::single_file::SingleFile;
use ddm_noise::TorchNoise;
use ddm_pipelines::{Hub, HubError, Loading, Request, open};
use server::{COMMIT, Model, REPOSITORY, Server};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pipelines").join(name)
}

fn small() -> Model {
    Model::of(&golden("stable-diffusion-small"))
}

/// A hub with an empty cache, whose folder ends with it.
fn empty(server: &Server) -> (TempDir, Hub) {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub { endpoint: server.endpoint.clone(), ..Hub::new(cache.path().join("hub")) };
    (cache, hub)
}

fn fetch(hub: &Hub, model: &str) -> Result<PathBuf, HubError> {
    hub.fetch(model, &mut |_| {})
}

#[track_caller]
fn says(error: &HubError, words: &[&str]) {
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{said:?} does not say {word:?}");
    }
}

fn picture(directory: &Path) -> Vec<f32> {
    let pipeline = open(directory, &Loading::new(&Device::flex())).unwrap();
    let request =
        Request { prompt: "the cat".to_owned(), steps: Some(2.into()), ..Request::default() };
    let run = pipeline.start(&request, Box::new(TorchNoise::new(1))).unwrap();
    let image: Tensor<4> = run.images().unwrap();
    image.into_data().try_into_vec().unwrap()
}

/// The files that the small pipeline needs.
const NEEDED: [&str; 13] = [
    "*",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
];

#[test]
fn a_pipeline_is_fetched_once_and_makes_the_same_picture() {
    let model = small()
        .with("README.md", b"text")
        .with("unet/diffusion_pytorch_model.fp16.safetensors", b"not wanted")
        .with("unet/diffusion_pytorch_model.bin", b"not wanted")
        .with("unet/flax_model.msgpack", b"not wanted")
        .with("unet/model.onnx", b"not wanted")
        .with("safety_checker/config.json", b"{}")
        .with("safety_checker/model.safetensors", b"not wanted")
        .with("v1-5-pruned.ckpt", b"not wanted");
    let server = Server::new(Model { redirects: true, ..model });
    let (_cache, hub) = empty(&server);
    let mut seen: Vec<(String, u64, u64)> = Vec::new();
    let directory = hub
        .fetch(REPOSITORY, &mut |at| seen.push((at.file.to_owned(), at.received, at.size)))
        .unwrap();
    assert_eq!(server.files_asked(), NEEDED);
    assert!(picture(&directory) == picture(&golden("stable-diffusion-small")));
    // Every file was reported to its end, and none beyond it.
    let size = |file: &str| fs::metadata(directory.join(file)).unwrap().len();
    for file in &NEEDED[1..] {
        let of_file = seen.iter().filter(|it| it.0 == *file).collect::<Vec<_>>();
        assert!(of_file.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{file}");
        let (_, received, all) = of_file.last().unwrap();
        assert_eq!((*received, *all), (size(file), size(file)), "{file}");
    }

    // As huggingface_hub keeps it.
    let folder = hub.cache.join("models--someone--model");
    assert_eq!(directory, folder.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read_dir(folder.join("refs")).unwrap().count(), 1);

    assert_eq!(fetch(&hub, REPOSITORY).unwrap(), directory);
    let asked: Vec<_> = server.asked().into_iter().map(|it| it.path).collect();
    assert_eq!(asked, ["/api/models/someone/model/revision/main?blobs=true"]);
    for revision in ["main", COMMIT] {
        let offline = Hub { offline: true, revision: revision.to_owned(), ..hub.clone() };
        assert_eq!(fetch(&offline, REPOSITORY).unwrap(), directory);
    }
    assert!(server.asked().is_empty());
}

#[test]
fn a_cache_of_another_program_is_enough() {
    // Blobs and links to them, as huggingface_hub has them.
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("models--someone--model");
    let snapshot = folder.join("snapshots").join(COMMIT);
    fs::create_dir_all(folder.join("blobs")).unwrap();
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), COMMIT).unwrap();
    for (index, (name, bytes)) in small().files.iter().enumerate() {
        let path = snapshot.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let blob = folder.join("blobs").join(format!("{index:040x}"));
        fs::write(&blob, bytes).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&blob, &path).unwrap();
        #[cfg(not(unix))]
        fs::rename(&blob, &path).unwrap();
    }
    let hub = Hub { offline: true, ..Hub::new(cache.path()) };
    let directory = fetch(&hub, REPOSITORY).unwrap();
    assert!(picture(&directory) == picture(&golden("stable-diffusion-small")));

    fs::remove_file(snapshot.join("vae/config.json")).unwrap();
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::NotCached { file: Some(_), .. }), "{error:?}");
    says(&error, &["vae/config.json", "offline", "HF_HUB_OFFLINE"]);
    for (model, revision) in [("someone/else", "main"), (REPOSITORY, "v2")] {
        let hub = Hub { revision: revision.to_owned(), ..hub.clone() };
        let error = fetch(&hub, model).unwrap_err();
        assert!(matches!(error, HubError::NotCached { file: None, .. }), "{error:?}");
        says(&error, &[model, revision, "is not in", "HF_HOME"]);
    }
}

#[test]
fn what_the_hub_refuses_is_said() {
    let server = Server::new(small());
    let (_cache, hub) = empty(&server);
    let error = fetch(&hub, "someone/else").unwrap_err();
    assert!(matches!(error, HubError::NoRepository { .. }), "{error:?}");
    says(&error, &["someone/else", "main", "spelling"]);

    let server = Server::new(Model { token: Some("secret"), redirects: true, ..small() });
    for (token, words) in [(None, "HF_TOKEN to a token"), (Some("other"), "another token")] {
        let (_cache, hub) = empty(&server);
        let hub = Hub { token: token.map(str::to_owned), ..hub };
        let error = fetch(&hub, REPOSITORY).unwrap_err();
        assert!(matches!(error, HubError::NeedsToken { status: 401, .. }), "{error:?}");
        says(&error, &[words, "accept its terms at http://127.0.0.1", REPOSITORY]);
        assert!(!format!("{hub:?} {error:?}").contains("other"), "{hub:?}");
    }
    let (_cache, hub) = empty(&server);
    let hub = Hub { token: Some("secret".to_owned()), ..hub };
    let directory = fetch(&hub, REPOSITORY).unwrap();
    assert!(directory.join("unet/config.json").exists());
    let asked = server.asked();
    let with_secret = asked.iter().filter(|it| it.token.as_deref() == Some("Bearer secret"));
    assert!(with_secret.count() > NEEDED.len());

    let video = small().with("model_index.json", br#"{"_class_name": "VideoPipeline"}"#);
    let server = Server::new(video);
    let error = fetch(&empty(&server).1, REPOSITORY).unwrap_err();
    says(&error, &["VideoPipeline", "not supported"]);
    assert_eq!(server.files_asked(), ["*", "model_index.json"]);

    let (_cache, hub) = empty(&Server::new(Model { status: Some(503), ..small() }));
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Refused { status: 503, .. }), "{error:?}");
    let hub = Hub { endpoint: "http://127.0.0.1:9".to_owned(), ..hub };
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");
    says(&error, &["http://127.0.0.1:9", "offline"]);
}

#[test]
fn a_cut_download_is_not_in_the_cache_and_goes_on() {
    let file = "unet/diffusion_pytorch_model.safetensors";
    let server = Server::new(Model { cut: Some((file, 1)), ..small() });
    let (_cache, hub) = empty(&server);
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Cut { .. }), "{error:?}");
    says(&error, &[file, "run again"]);
    let folder = hub.cache.join("models--someone--model");
    let snapshot = folder.join("snapshots").join(COMMIT);
    assert!(snapshot.join("unet/config.json").exists() && !snapshot.join(file).exists());
    let offline = Hub { offline: true, ..hub.clone() };
    assert!(matches!(fetch(&offline, REPOSITORY), Err(HubError::NotCached { .. })));
    server.asked();

    fetch(&hub, REPOSITORY).unwrap();
    let half = small().files[file].len() / 2;
    let resumed = server.asked().into_iter().filter(|it| it.path.ends_with(file) && it.from > 0);
    assert_eq!(resumed.map(|it| it.from).collect::<Vec<_>>(), [half]);
    assert!(fs::read(snapshot.join(file)).unwrap() == small().files[file]);

    // What an earlier program left does not fit: too long, or whole already.
    for left in [vec![0; small().files[file].len() + 1], small().files[file].clone()] {
        let blob = fs::canonicalize(snapshot.join(file)).unwrap();
        fs::remove_file(snapshot.join(file)).unwrap();
        fs::write(blob.with_extension("part"), left).unwrap();
        fetch(&hub, REPOSITORY).unwrap();
        assert!(fs::read(snapshot.join(file)).unwrap() == small().files[file]);
    }

    let server = Server::new(Model { lies: Some(file), ..small() });
    let (_cache, hub) = empty(&server);
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Size { .. }), "{error:?}");
    assert!(!hub.cache.join("models--someone--model/snapshots").join(COMMIT).join(file).exists());
}

#[test]
fn one_form_of_the_weights_is_fetched() {
    let plain = "unet/diffusion_pytorch_model.safetensors";
    let half = "unet/diffusion_pytorch_model.fp16.safetensors";
    let bytes = small().files[plain].clone();
    let weights = |fp16: bool, model: Model| {
        let server = Server::new(model);
        let (_cache, hub) = empty(&server);
        fetch(&Hub { fp16, ..hub }, REPOSITORY).unwrap();
        let mut asked = server.files_asked();
        asked.retain(|file| file.starts_with("unet/") && !file.ends_with("config.json"));
        asked
    };
    let both = small().with(half, &bytes);
    assert_eq!(weights(false, both.clone()), [plain]);
    assert_eq!(weights(true, both.clone()), [half]);
    assert_eq!(weights(false, both.without(plain)), [half]);
    assert_eq!(weights(true, small()), [plain]);
    let bin = "unet/diffusion_pytorch_model.bin";
    assert_eq!(weights(false, small().without(plain).with(bin, &bytes)), [bin]);

    // Those shards that the index names, and no others.
    let (index, shard) = (format!("{plain}.index.json"), |number: usize| {
        format!("unet/diffusion_pytorch_model-0000{number}-of-00002.safetensors")
    });
    let listed = |number: usize| shard(number)["unet/".len()..].to_owned();
    let json = format!(r#"{{"weight_map":{{"a":"{}","b":"{}"}}}}"#, listed(1), listed(2));
    let shards = small().without(plain).with(&index, json.as_bytes());
    let shards = (1..4).fold(shards, |model, number| model.with(&shard(number), b"bytes"));
    assert_eq!(weights(false, shards.clone()), [shard(1), shard(2), index]);
    let server = Server::new(shards.without(&shard(2)));
    let error = fetch(&empty(&server).1, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Missing { .. }), "{error:?}");
    says(&error, &["00002-of-00002"]);
    let server = Server::new(small().without(plain));
    says(&fetch(&empty(&server).1, REPOSITORY).unwrap_err(), &["has no unet/*.safetensors"]);
}

#[test]
fn a_network_and_a_file_are_fetched_alone() {
    let device = Device::flex();
    let server = Server::new(Model::of(&golden("stable-diffusion-small/vae")).with("a.pt", b"a"));
    let (_cache, hub) = empty(&server);
    let directory = fetch(&hub, REPOSITORY).unwrap();
    let files = ["*", "config.json", "diffusion_pytorch_model.safetensors"];
    assert_eq!(server.files_asked(), files);
    AutoencoderKl::from_diffusers(directory, &device).unwrap();

    let server = Server::new(Model::of(&golden("single-file-sd")).with("x/y.safetensors", b"a"));
    let (_cache, hub) = empty(&server);
    let file = fetch(&hub, &format!("{REPOSITORY}:model.safetensors")).unwrap();
    assert_eq!(server.files_asked(), ["*", "model.safetensors"]);
    SingleFile::open(file).unwrap();
    let nested = fetch(&hub, &format!("{REPOSITORY}:x/y.safetensors")).unwrap();
    assert_eq!(fs::read(nested).unwrap(), b"a");
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    says(
        &error,
        &["no model_index.json or config.json", "someone/model:FILE", "model.safetensors"],
    );
    says(&fetch(&hub, &format!("{REPOSITORY}:absent")).unwrap_err(), &["has no absent"]);
}

#[test]
fn nothing_leads_out_of_the_cache() {
    let server = Server::new(Model { commit: Some("../../../out"), ..small() });
    let (_cache, hub) = empty(&server);
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Answer { .. }), "{error:?}");

    let index = br#"{"_class_name": "DDPMPipeline", "../../out": ["diffusers", "UNet2DModel"]}"#;
    let model = small().with("model_index.json", index).with("../../out/config.json", b"{}");
    let server = Server::new(model);
    let (cache, hub) = empty(&server);
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Missing { .. }), "{error:?}");
    assert_eq!(server.files_asked(), ["*", "model_index.json"]);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    let offline = Hub { offline: true, ..hub.clone() };
    assert!(matches!(fetch(&offline, REPOSITORY), Err(HubError::NotCached { .. })));

    for name in ["", "name", "a/b/c", "../b", "a/..", "a/b:", "a/b:../c", "a b/c", "/a", "a/b:/c"] {
        let error = fetch(&hub, name).unwrap_err();
        assert!(matches!(error, HubError::Name { .. }), "{name}: {error:?}");
    }
    for revision in ["", "..", "a/../b", "/a", "a b"] {
        let hub = Hub { revision: revision.to_owned(), ..hub.clone() };
        let error = fetch(&hub, REPOSITORY).unwrap_err();
        assert!(matches!(error, HubError::Revision { .. }), "{revision}: {error:?}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_is_said() {
    let server = Server::new(small());
    let (cache, hub) = empty(&server);
    fs::write(cache.path().join("hub"), "a file").unwrap();
    let error = fetch(&hub, REPOSITORY).unwrap_err();
    assert!(matches!(error, HubError::Write { .. }), "{error:?}");
    says(&error, &["HF_HOME"]);
}

#[test]
fn settings_are_those_of_huggingface_hub() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_str().unwrap();
    let hub = |settings: &[(&str, &str)]| {
        let value = |name: &str| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Hub::from_variables(value).unwrap()
    };
    assert_eq!(hub(&[("HF_HOME", folder)]), Hub::new(home.path().join("hub")));
    let cache = hub(&[("XDG_CACHE_HOME", folder)]).cache;
    assert_eq!(cache, home.path().join("huggingface").join("hub"));
    assert_eq!(hub(&[("HF_HOME", folder), ("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
    for (value, offline) in [("1", true), ("on", true), ("True", true), ("0", false), ("", false)] {
        assert_eq!(hub(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
    }
    assert_eq!(hub(&[("HF_ENDPOINT", "http://mirror/")]).endpoint, "http://mirror");
    fs::write(home.path().join("token"), "of a login\n").unwrap();
    assert_eq!(hub(&[("HF_HOME", folder)]).token.as_deref(), Some("of a login"));
    let token = hub(&[("HF_HOME", folder), ("HF_TOKEN", "given")]).token;
    assert_eq!(token.as_deref(), Some("given"));
}
