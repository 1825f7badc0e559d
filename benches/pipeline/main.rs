//! What a pipeline costs beside its networks: time, and memory.
//!
//! It makes a Stable Diffusion of random weights in a temporary directory, on the CPU.

#[path = "../peers/ours/process.rs"]
mod process;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, Subcommand};
use ddm_core::burn::module::Module;
use ddm_core::models::text::ClipTextConfig;
use ddm_core::models::{AutoencoderKlConfig, UNet2dConditionConfig, UNetCondition, save_weights};
use ddm_core::noise::TorchNoise;
use ddm_core::pipelines::{Loading, Pipeline, Request, StableDiffusion, scheduler_named};
use ddm_core::prelude::*;
use mimalloc::MiMalloc;
use serde_json::{Map, Value, json};

/// As in the criterion benches.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures a pipeline of Stable Diffusion with random weights.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The time of a run beside that of its network calls, in turn.
    Overhead {
        /// How often each is measured.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Do not prepare the networks.
        #[arg(long)]
        unprepared: bool,
    },
    /// Writes the parts of a larger pipeline to a new directory.
    Write {
        /// The directory.
        directory: PathBuf,
    },
    /// The largest memory of one step of a pipeline in a directory.
    Memory {
        /// The directory.
        directory: PathBuf,
        /// Drop each network after its use.
        #[arg(long)]
        drop_parts: bool,
        /// Do not prepare the networks.
        #[arg(long)]
        unprepared: bool,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().what {
        What::Overhead { rounds, unprepared } => overhead(rounds, !unprepared),
        What::Write { directory } => write(&directory, &LARGE),
        What::Memory { directory, drop_parts, unprepared } => {
            let loading = Loading::new(&Device::flex()).keep_parts(!drop_parts);
            memory(&directory, &loading.prepare(!unprepared), drop_parts)
        }
    }
}

/// The widths of the networks.
struct Widths {
    text: usize,
    text_layers: usize,
    unet: [usize; 2],
    autoencoder: [usize; 2],
}

/// A step of some 100 ms on two cores.
const MIDDLE: Widths = Widths { text: 64, text_layers: 2, unet: [64, 128], autoencoder: [32, 64] };
const LARGE: Widths =
    Widths { text: 768, text_layers: 8, unet: [256, 512], autoencoder: [192, 384] };

/// Writes a pipeline of such networks, with the tokenizer and the scheduler of a recorded one.
fn write(directory: &Path, widths: &Widths) -> Result<(), Box<dyn Error>> {
    let from =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/pipelines/stable-diffusion-small");
    let device = Device::flex();
    fs::create_dir_all(directory)?;
    fs::copy(from.join("model_index.json"), directory.join("model_index.json"))?;
    for part in ["scheduler", "tokenizer"] {
        fs::create_dir_all(directory.join(part))?;
        for entry in fs::read_dir(from.join(part))? {
            let entry = entry?;
            fs::copy(entry.path(), directory.join(part).join(entry.file_name()))?;
        }
    }
    // Puts other settings into a part's config, which is also returned.
    let configured = |part: &str, settings: Value| -> Result<String, Box<dyn Error>> {
        let json = fs::read_to_string(from.join(part).join("config.json"))?;
        let mut all: Map<String, Value> = serde_json::from_str(&json)?;
        all.extend(settings.as_object().cloned().unwrap_or_default());
        let json = serde_json::to_string(&all)?;
        fs::create_dir_all(directory.join(part))?;
        fs::write(directory.join(part).join("config.json"), &json)?;
        Ok(json)
    };
    let text = configured(
        "text_encoder",
        json!({ "hidden_size": widths.text, "intermediate_size": 4 * widths.text,
            "num_hidden_layers": widths.text_layers, "num_attention_heads": 8,
            "projection_dim": widths.text }),
    )?;
    let encoder = ClipTextConfig::from_json(&text)?.init(&device)?;
    save_weights(&encoder, directory.join("text_encoder/model.safetensors"))?;
    report("text encoder", &encoder);
    drop(encoder);
    let unet = configured(
        "unet",
        json!({ "block_out_channels": widths.unet, "cross_attention_dim": widths.text,
            "attention_head_dim": 8, "norm_num_groups": 32, "layers_per_block": 2,
            "sample_size": 32 }),
    )?;
    let unet = UNet2dConditionConfig::from_diffusers(&unet)?.init(&device)?;
    save_weights(&unet, directory.join("unet/diffusion_pytorch_model.safetensors"))?;
    report("U-Net", &unet);
    drop(unet);
    let autoencoder = configured(
        "vae",
        json!({ "block_out_channels": widths.autoencoder, "norm_num_groups": 32,
            "layers_per_block": 2, "sample_size": 64 }),
    )?;
    let autoencoder = AutoencoderKlConfig::from_diffusers(&autoencoder)?.init(&device)?;
    save_weights(&autoencoder, directory.join("vae/diffusion_pytorch_model.safetensors"))?;
    report("autoencoder", &autoencoder);
    Ok(())
}

fn report<M: Module>(name: &str, network: &M) {
    let parameters = network.num_params();
    println!("{name}: {:.1} M parameters, {:.0} MiB", parameters as f64 / 1e6, mib(parameters));
}

/// The size of so many numbers of 4 bytes.
fn mib(parameters: usize) -> f64 {
    4.0 * parameters as f64 / f64::from(1 << 20)
}

fn request(steps: usize) -> Request {
    Request {
        prompt: "a photo of a cat".to_owned(),
        negative: Some("a dog".to_owned()),
        steps: Some(steps.into()),
        guidance: Some(7.5),
        ..Request::default()
    }
}

/// Measures whole runs, and the calls of the networks that they consist of, in turn.
fn overhead(rounds: usize, prepare: bool) -> Result<(), Box<dyn Error>> {
    const STEPS: usize = 20;
    let (device, folder) = (Device::flex(), tempfile::tempdir()?);
    write(folder.path(), &MIDDLE)?;
    let loading = Loading::new(&device).prepare(prepare);
    let pipeline = StableDiffusion::open(folder.path(), &loading)?;
    // DDIM calls the network once a step.
    let scheduler = scheduler_named("ddim", pipeline.scheduler())?;
    let request = Request { scheduler: Some(scheduler), ..request(STEPS) };
    let whole = || -> Result<f64, Box<dyn Error>> {
        let clock = Instant::now();
        pipeline.start(&request, Box::new(TorchNoise::new(1)))?.images()?;
        Ok(clock.elapsed().as_secs_f64())
    };
    let unet = pipeline.diffusion.unet.get()?;
    let autoencoder = pipeline.diffusion.autoencoder.get()?;
    let networks = || -> Result<f64, Box<dyn Error>> {
        let clock = Instant::now();
        let text = [&request.prompt, "a dog"].map(|prompt| pipeline.encode(prompt));
        let [text, negative] = text;
        let condition = UNetCondition::new(Tensor::cat(vec![text?.0, negative?.0], 0));
        let x = Tensor::<4>::ones([2, 4, 32, 32], &device);
        for step in 0..STEPS {
            let t = Tensor::full([2], 999.0 - step as f64, &device);
            let prediction = unet.predict_with(x.clone(), t, condition.clone());
            prediction.into_data();
        }
        autoencoder.decode(x.narrow(0, 0, 1)).into_data();
        Ok(clock.elapsed().as_secs_f64())
    };
    let (mut runs, mut sums) = (Vec::new(), Vec::new());
    whole()?;
    networks()?;
    for _ in 0..rounds {
        runs.push(whole()?);
        sums.push(networks()?);
    }
    // The least time is the one that the rest of the machine disturbed least.
    let middle = rounds / 2;
    for (name, place) in [("median", middle), ("least", 0)] {
        let (run, sum) = (at(&mut runs, place), at(&mut sums, place));
        println!("a run of {STEPS} steps, {name}: {:.1} ms", 1e3 * run);
        println!("its networks alone: {:.1} ms", 1e3 * sum);
        println!("the pipeline's own cost: {:.2} %", 100.0 * (run / sum - 1.0));
    }
    Ok(())
}

/// Returns the time at this place of the sorted times.
fn at(times: &mut [f64], place: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(place).copied().unwrap_or(f64::NAN)
}

/// Takes a step, and says the largest memory of this process.
fn memory(directory: &Path, loading: &Loading, drop_parts: bool) -> Result<(), Box<dyn Error>> {
    let before = process::peak_mib()?;
    let pipeline = StableDiffusion::open(directory, loading)?;
    pipeline.start(&request(1), Box::new(TorchNoise::new(1)))?.images()?;
    println!(
        "parts {}: at most {:.0} MiB, {before:.0} MiB of them before; {:.1} s from the program's start",
        if drop_parts { "dropped" } else { "kept" },
        process::peak_mib()?,
        process::age()?,
    );
    Ok(())
}
