//! Every example runs, small; a second run makes the same bytes; bad input ends in one sentence.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ddm_core::burn::tensor::DType;
use ddm_core::weights::Tensors;

/// Returns the built example of this name, next to the tests' folder.
fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().expect("a test has a path");
    path.pop();
    path.set_file_name("examples");
    Command::new(path.join(name).with_extension(std::env::consts::EXE_EXTENSION))
}

fn run(name: &str, arguments: &[&str], out: &Path) -> Output {
    example(name).args(arguments).arg("--out").arg(out).output().expect("the example was built")
}

fn succeeds(name: &str, arguments: &[&str], out: &Path) -> String {
    let output = run(name, arguments, out);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs with `arguments` must end with code 2 and one sentence that holds all of `words`.
fn refuses(name: &str, arguments: &[&str], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = run(name, arguments, &out);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "{said} does not name {word}");
    }
    let left: Vec<_> = fs::read_dir(&out).into_iter().flatten().collect();
    assert!(left.is_empty(), "{name} {arguments:?} left {left:?}");
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = paths
        .flat_map(|path| {
            let name = PathBuf::from(path.file_name().unwrap());
            match path.is_dir() {
                true => {
                    files(&path).into_iter().map(|(in_it, is)| (name.join(in_it), is)).collect()
                }
                false => vec![(name, fs::read(&path).unwrap())],
            }
        })
        .collect();
    found.sort();
    found
}

/// The files of a network that was trained.
const CONFIG: &str = "unet/config.json";
const WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";

/// A small set in the files of Fashion-MNIST: squares of ten brightnesses, which are the classes.
fn small_clothes(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (part, count) in [("train", 120_u32), ("t10k", 80)] {
        let sizes = |magic: u32, sizes: &[u32]| -> Vec<u8> {
            [magic].iter().chain(sizes).flat_map(|number| number.to_be_bytes()).collect()
        };
        let mut images = sizes(0x803, &[count, 28, 28]);
        let mut labels = sizes(0x801, &[count]);
        for item in 0..count {
            let label = (item % 10) as u8;
            labels.push(label);
            images.extend((0..784_u32).map(|at| 20 * label + (7 * at * (item + 1) % 23) as u8));
        }
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

#[test]
fn fashion_runs_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    small_clothes(&data);
    let data = data.to_str().unwrap();
    let common = ["--quick", "--data", data, "--batch", "8", "--samples", "60", "--steps", "2"];
    let arguments = |more: [&'static str; 4]| [&common[..], &more[..]].concat();
    let all = arguments(["--train-steps", "8", "--measurements", "2"]);
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let said = succeeds("fashion", &all, &first);
    for words in ["step      4", "step      8", "Fréchet distance", "test + noise", "coverage"] {
        assert!(said.contains(words), "{said} does not say {words}");
    }
    for name in ["samples-000004.png", "loss.png", "loss_by_time.png", "distance.png", CONFIG] {
        assert!(first.join(name).exists(), "{name} is missing");
    }
    // Half of it and then the whole: the same pictures. The cosine of the learning rate has its length
    // from the options, so the first run stops at the first measurement of two.
    let stopped = arguments(["--train-steps", "8", "--stop-after", "1"]);
    succeeds("fashion", &[&stopped[..], &["--measurements", "2"]].concat(), &second);
    assert!(!second.join("samples-000008.png").exists());
    succeeds("fashion", &all, &second);
    let picture = |folder: &Path| fs::read(folder.join("samples.png")).unwrap();
    assert!(picture(&first) == picture(&second), "a training that goes on draws other samples");
    refuses("fashion", &["--quick", "--data", "nowhere"], &["nowhere"]);
}

#[test]
fn digits_runs_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let arguments = ["--epochs", "1", "--steps", "3", "--seed", "5"];
    let said = succeeds("digits", &arguments, &first);
    for words in ["read as requested", "mean distance of two", "Fréchet", "coverage", "closer to"]
    {
        assert!(said.contains(words), "{said} does not say {words}");
    }
    succeeds("digits", &arguments, &second);
    let (first, second) = (files(&first), files(&second));
    let names: Vec<_> = first.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(
        names,
        ["digits.png", "loss.png", "nearest.png", "noise_to_digit.png", CONFIG, WEIGHTS]
    );
    for ((name, one), (_, other)) in first.iter().zip(&second) {
        // Parameter ids are drawn anew in each run, so weights are compared by their values.
        if name.extension().is_some_and(|extension| extension == "png") {
            assert!(one == other, "{} differs between two runs", name.display());
        }
    }
}

/// Small settings of the scores example.
const SCORES: [&str; 8] =
    ["--training-steps", "3", "--steps", "4", "--points", "20", "--cells", "6"];

#[test]
fn scores_runs_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let said = succeeds("scores", &SCORES, &first);
    for words in ["nats after 21 model calls", "sun    at scale 1:", "moon   at scale 4:"] {
        assert!(said.contains(words), "{said} does not say {words}");
    }
    succeeds("scores", &SCORES, &second);
    let (first, second) = (files(&first), files(&second));
    let names: Vec<_> = first.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    assert_eq!(names, ["field.png", "likelihood.png", "prompts.png", "ways.gif", "ways.png"]);
    assert!(first == second, "two runs of one seed differ");

    // Words that mean the same draw the same, and another seed draws something else.
    let told = |words: &[&str], name: &str| {
        let out = folder.path().join(name);
        succeeds("scores", &[&SCORES, words].concat(), &out);
        files(&out)
    };
    let day = told(&["--prompt", " Day", "--prompt", "NIGHT"], "words");
    assert!(day[0] == first[0] && day[2] != first[2], "the prompts' titles alone should differ");
    assert!(told(&["--seed", "1"], "seed")[0] != first[0]);
}

#[test]
fn score_digits_runs_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let arguments = ["--epochs", "1", "--moves", "1", "--steps", "3", "--seed", "5"];
    let said = succeeds("score_digits", &arguments, &first);
    assert!(said.contains("Langevin dynamics") && said.contains("after 5 model calls"), "{said}");
    succeeds("score_digits", &arguments, &second);
    let (first, second) = (files(&first), files(&second));
    assert_eq!(first[0].0, PathBuf::from("score_digits.png"));
    assert!(first == second, "two runs of one seed differ");
}

#[test]
fn latent_runs_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let arguments = ["--autoencoder-epochs", "1", "--epochs", "1", "--steps", "3", "--seed", "5"];
    let said = succeeds("latent", &arguments, &first);
    for words in ["64 numbers, its latent 32", "% of the samples", "when reconstructed"] {
        assert!(said.contains(words), "{said} does not say {words}");
    }
    succeeds("latent", &arguments, &second);
    let (first, second) = (files(&first), files(&second));
    let names: Vec<_> = first.iter().map(|(name, _)| name.to_str().unwrap()).collect();
    let vae = ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"];
    let pictures = ["reconstructions.png", "samples.png"];
    assert_eq!(names, [&pictures[..], &[CONFIG, WEIGHTS], &vae].concat());
    // Of the weights the ids differ, as above.
    assert!(first[..3] == second[..3], "two runs of one seed differ");
}

#[test]
fn points_runs() {
    let folder = tempfile::tempdir().unwrap();
    succeeds("points", &["--training-steps", "3", "--steps", "4"], folder.path());
    let names: Vec<_> = files(folder.path()).into_iter().map(|(name, _)| name).collect();
    let expected = ["denoising.gif", "field.png", "forward.png", "paths.png"].map(PathBuf::from);
    assert_eq!(names, expected);
}

#[test]
fn few_steps_runs_on_points() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--training-steps", "3", "--student-steps", "2", "--samples", "50"];
    let said = succeeds("few_steps", &small, folder.path());
    for row in ["| teacher | 50 |", "| progressive | 4 |", "| mean flow | 1 |", "other real points"]
    {
        assert!(said.contains(row) && !said.contains("NaN"), "{said}");
    }
    assert_eq!(files(folder.path())[0].0, PathBuf::from("few_steps.png"));
    refuses("few_steps", &["--training-steps", "0"], &["training-steps is 0"]);
    refuses("few_steps", &["--data", "fashion", "--teacher", "nowhere"], &["nowhere"]);
}

#[test]
fn few_steps_runs_on_clothes() {
    let folder = tempfile::tempdir().unwrap();
    let (data, fashion) = (folder.path().join("data"), folder.path().join("fashion"));
    small_clothes(&data);
    let data = data.to_str().unwrap();
    let small = ["--quick", "--data", data, "--batch", "8", "--samples", "60", "--steps", "2"];
    let short = ["--train-steps", "4", "--measurements", "1"];
    succeeds("fashion", &[&small[..], &short].concat(), &fashion);
    let teacher = fashion.join("unet");
    let few = ["--data", "fashion", "--teacher", teacher.to_str().unwrap(), "--images", data];
    let out = folder.path().join("few");
    let said = succeeds(
        "few_steps",
        &[&few[..], &["--student-steps", "1", "--training-steps", "2", "--samples", "60"]].concat(),
        &out,
    );
    assert!(said.contains("| progressive | 1 |") && !said.contains("NaN"), "{said}");
    for name in ["teacher-50.png", "mean-flow-1.png", "progressive-4/config.json"] {
        assert!(out.join(name).exists(), "{name} is missing");
    }
}

#[test]
fn samplers_runs() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeeds("samplers", &["--points", "16", "--steps", "60"], folder.path());
    assert!(said.contains("| DPM-Solver++ 2M |") && !said.contains("NaN"), "{said}");
    // The guide's tables are the printed ones: sampler, order, calls and state.
    let guide = fs::read_to_string("../docs/choosing-a-sampler.md").expect("the guide is there");
    for row in said.lines().filter(|line| line.starts_with("| ")) {
        let facts = row.split(" | ").take(4).collect::<Vec<_>>().join(" | ");
        assert!(guide.contains(&facts), "{facts}");
    }
    assert_eq!(files(folder.path())[0].0, PathBuf::from("samplers.png"));
}

#[test]
fn custom_scheduler_runs() {
    let output = example("custom_scheduler").output().expect("the example was built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn restart_runs() {
    let output = example("restart").output().expect("the example was built");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("2 restarts: 55 model calls") && said.contains("all laws hold"),
        "{said}"
    );
}

#[test]
fn doctor_runs_and_says_what_to_do() {
    let said = |arguments: &[&str]| {
        let output = example("doctor").args(arguments).output().expect("the example was built");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = said(&[]);
    assert!(code == Some(0) && text.contains(" checks, 0 wrong"), "{text}");
    assert!(text.contains("convolution of 1×104×16×16 208×104×1×1 208, gradient"), "{text}");
    // Half precision is not exact.
    let (code, text) = said(&["--only", "product of 16×16", "--tolerance", "0", "--quiet"]);
    assert!(code == Some(1) && text.contains("3 checks, 1 wrong"), "{text}");
    assert!(
        text.contains("WRONG") && !text.lines().any(|line| line.starts_with("right")),
        "{text}"
    );
    assert!(text.contains("BURN_FUSION_MAX_EXPLORATIONS=0") && text.contains("target/environment"));
    let (code, _) = said(&["--only", "no such operation"]);
    assert_eq!(code, Some(2));
}

#[test]
fn bad_input_is_one_sentence() {
    refuses("digits", &["--device", "abacus"], &["abacus", "flex"]);
    refuses("digits", &["--data", "/no/such/file.csv.gz"], &["/no/such/file.csv.gz"]);
    refuses("digits", &["--epochs", "0"], &["training steps is 0"]);
    refuses("digits", &["--epochs", "1", "--steps", "0"], &["0 steps"]);
    refuses("digits", &["--epochs", "1", "--guidance", "NaN"], &["guidance scale", "NaN"]);
    refuses("points", &["--data", "/no/such/file.csv"], &["/no/such/file.csv"]);
    refuses("points", &["--training-steps", "0"], &["training steps is 0"]);
    refuses("points", &["--training-steps", "1", "--steps", "0"], &["0 steps"]);
    refuses("scores", &["--prompt", "star"], &["\"star\"", "sun, day, moon, night"]);
    refuses("scores", &["--prompt", ""], &["\"\"", "sun, day, moon, night"]);
    refuses("scores", &["--training-steps", "0"], &["training steps is 0"]);
    refuses("scores", &["--steps", "1"], &["ratio", "inf"]);
    refuses("scores", &["--points", "0"], &["points"]);
    refuses("scores", &["--cells", "0"], &["cells"]);
    refuses("score_digits", &["--device", "abacus"], &["abacus", "flex"]);
    refuses("score_digits", &["--epochs", "0"], &["training steps is 0"]);
    refuses("score_digits", &["--moves", "0"], &["times"]);
    refuses("score_digits", &["--steps", "0"], &["0 steps"]);
    refuses("score_digits", &["--guidance", "NaN"], &["guidance scale", "NaN"]);

    refuses("latent", &["--device", "abacus"], &["abacus", "flex"]);
    refuses("latent", &["--autoencoder-epochs", "0"], &["training steps is 0"]);
    refuses("latent", &["--autoencoder-epochs", "1", "--epochs", "0"], &["training steps is 0"]);
    refuses("latent", &["--steps", "0"], &["0 steps"]);
    refuses("latent", &["--guidance", "NaN"], &["guidance scale", "NaN"]);

    // A file that was cut off.
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read("data/digits.csv.gz").expect("tests run in the package's folder");
    let cut = folder.path().join("cut.csv.gz");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    refuses("digits", &["--data", cut.to_str().unwrap()], &["cut.csv.gz"]);
}

/// A file or directory of the recorded pipelines.
fn pipeline(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/pipelines").join(name);
    path.to_string_lossy().into_owned()
}

/// The seed of all recordings.
const SEED: &str = "3001";

#[test]
fn generate_makes_the_pictures_of_diffusers() {
    let folder = tempfile::tempdir().unwrap();
    let text: &[&str] = &["--prompt", "a photo of the red cat and the dog, in the sea"];
    let guided: &[&str] = &["--negative", "blue house", "--guidance", "5", "--steps", "6"];
    let sized: &[&str] = &["--size", "24x16"];
    let t5: &[&str] = &["--tokens", "20"]; // as the recordings have it
    let single = pipeline("stable-diffusion-small");
    for (model, record, arguments) in [
        ("stable-diffusion-small", "reference", [text, guided, sized].concat()),
        ("stable-diffusion-3", "reference", [text, guided, sized, t5].concat()),
        ("sdxl-turbo", "reference", [text, sized, &["--guidance", "0", "--steps", "3"]].concat()),
        ("flux-schnell", "reference", [text, sized, t5, &["--steps", "4"]].concat()),
        ("latent-consistency", "reference", [text, sized, &["--steps", "4"]].concat()),
        ("ddpm-unconditional", "reference", ["--steps", "10", "--batch", "2"].to_vec()),
        ("consistency-model", "reference", ["--classes", "1,10", "--batch", "2"].to_vec()),
        (
            "single-file-sd/model.safetensors",
            "../stable-diffusion-small/reference",
            [text, guided, sized, &["--config", &single]].concat(),
        ),
    ] {
        pictures_are(model, record, &arguments, folder.path());
    }
    // The base makes seven of ten steps, and the refiner three.
    let refiner = pipeline("sdxl-refiner");
    let ten = ["--negative", "blue house", "--guidance", "5", "--steps", "10"];
    let refined = [text, &ten, sized, &["--refiner", &refiner, "--refine-from", "0.7"]].concat();
    pictures_are("stable-diffusion-xl", "../sdxl-refiner/hand-over", &refined, folder.path());
}

#[test]
fn generate_takes_a_name_on_the_hub() {
    // The cache of huggingface_hub, which has the model already.
    let home = tempfile::tempdir().unwrap();
    let (folder, commit) = (home.path().join("hub/models--someone--model"), "a1".repeat(20));
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), &commit).unwrap();
    let model = pipeline("stable-diffusion-small");
    for (name, bytes) in files(Path::new(&model)) {
        let path = folder.join("snapshots").join(&commit).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let picture = |model: &str, arguments: &[&str]| {
        let out = home.path().join("x.png");
        let arguments = [&["--model", model, "--steps", "2"], arguments].concat();
        let mut command = example("generate");
        command.args(arguments).arg("--out").arg(&out);
        let said = command.env("HF_HOME", home.path()).env_remove("HF_HUB_CACHE").output().unwrap();
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        if said.status.success() { Ok(image::open(&out).unwrap().into_rgb8()) } else { Err(error) }
    };
    assert!(picture("someone/model", &["--offline"]) == picture(&model, &[]));
    let error = picture("someone/model", &["--offline", "--revision", "v2"]).unwrap_err();
    assert!(
        error.contains("no file or directory someone/model") && error.contains("v2"),
        "{error}"
    );
}

/// Runs `generate`, and compares the pictures with the recorded images to 1/255.
fn pictures_are(model: &str, record: &str, arguments: &[&str], folder: &Path) {
    let out = folder.join("x.png");
    let (path, arguments) = (pipeline(model), [&["--seed", SEED], arguments].concat());
    let said = succeeds("generate", &[&["--model", &path], &arguments[..]].concat(), &out);
    assert!(said.contains("M parameters"), "{said}");
    let directory = if Path::new(&path).is_dir() { path } else { pipeline("single-file-sd") };
    let record = Path::new(&directory).join(record).with_extension("safetensors");
    let recorded = Tensors::open(&record).unwrap();
    let image = recorded.read_as("image", DType::F32).unwrap();
    let shape = recorded.get("image").unwrap().shape().to_vec();
    let values: Vec<f32> = image.try_into_vec().unwrap();
    let [count, height, width] = [shape[0], shape[2], shape[3]];
    for index in 0..count {
        let name = if count == 1 { "x.png".to_owned() } else { format!("x-{}.png", index + 1) };
        let picture = image::open(folder.join(name)).unwrap().into_rgb8();
        assert_eq!((picture.width() as usize, picture.height() as usize), (width, height));
        for (x, y, pixel) in picture.enumerate_pixels() {
            for (channel, &found) in pixel.0.iter().enumerate() {
                let row = (index * 3 + channel) * height + y as usize;
                let expected = values[row * width + x as usize] * 255.0;
                assert!((f32::from(found) - expected).abs() < 0.51, "{model} {x} {y}");
            }
        }
    }
}

#[test]
fn generate_says_what_it_did_and_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("x.png"), pipeline("stable-diffusion-small"));
    let lora = pipeline("lora-sd/kohya.safetensors") + ":0.8";
    let arguments = ["--model", &model, "--prompt", "the cat", "--steps", "3", "--preview"];
    let more = ["--sampler", "dpmpp-2m-karras", "--lora", &lora, "--seed", "7"];
    succeeds("generate", &[&arguments[..], &more].concat(), &out);
    let names: Vec<_> = files(folder.path()).into_iter().map(|(name, _)| name).collect();
    let expected = ["x.png", "x.step-001.png", "x.step-002.png", "x.step-003.png"];
    assert_eq!(names, expected.map(PathBuf::from));
    let side = |file: &str| image::open(folder.path().join(file)).unwrap().width();
    assert_eq!((side("x.png"), side("x.step-002.png")), (16, 8)); // a linear one, of the latent's size
    let tiny = pipeline("../models/autoencoder-tiny");
    for (by, size) in [("exact", 16), (&*tiny, 64)] {
        succeeds("generate", &[&arguments[..], &["--preview-by", by]].concat(), &out);
        assert_eq!(side("x.step-002.png"), size, "{by}");
    }
    succeeds("generate", &[&arguments[..], &more].concat(), &out);
    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(&out).unwrap()));
    let reader = decoder.read_info().unwrap();
    let text = &reader.info().utf8_text[0];
    assert_eq!(text.keyword, "parameters");
    assert_eq!(
        text.get_text().unwrap(),
        "the cat\nSteps: 3, Sampler: dpmpp-2m-karras, Seed: 7, Size: 16x16, \
         Model: stable-diffusion-small, Lora: \"kohya: 0.8\", Version: ddm"
    );

    let file = pipeline("single-file-sd/model.safetensors");
    refuses("generate", &["--model", "absent"], &["directory absent", "organization/name"]);
    let refined = ["--model", &model, "--refiner", &model];
    refuses("generate", &refined, &["Stable Diffusion takes no"]);
    refuses("generate", &["--model", &file], &["--config", "tokenizer"]);
    refuses("generate", &["--model", &model, "--sampler", "x"], &["no sampler x", "euler-a"]);
    refuses("generate", &["--model", &model, "--image", "absent.png"], &["absent.png"]);
    refuses("generate", &["--model", &model, "--classes", "3"], &["takes no classes"]);
}
