//! How long it takes to load a network of a gigabyte, and how much memory, beside reading the file.
//!
//! `cargo run --release --example load_speed -- [DIRECTORY]` writes a file there, which the system then
//! has in its cache, and reads it in processes of their own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device};
use ddm_weights::{LoadOptions, Tensors, load};

/// As in a U-Net: half of the weights are those of convolutions, half those of linear layers.
#[derive(Module, Debug)]
struct Network {
    convs: Vec<Conv2d>,
    linears: Vec<Linear>,
}

impl Network {
    fn new(convs: usize, linears: usize) -> Self {
        let device = Device::flex();
        let conv = || Conv2dConfig::new([512, 512], [3, 3]).with_bias(false).init(&device);
        let linear = || LinearConfig::new(2048, 2048).with_bias(false).init(&device);
        Self {
            convs: (0..convs).map(|_| conv()).collect(),
            linears: (0..linears).map(|_| linear()).collect(),
        }
    }
}

/// What is measured: a name, convolutions, linear layers, the type in the file and the type wanted.
const CASES: [(&str, usize, usize, &str, DType); 5] = [
    ("convolutions", 106, 0, "F32", DType::F32),
    ("linear layers", 0, 60, "F32", DType::F32),
    ("both", 53, 30, "F32", DType::F32),
    ("both, f16 to f32", 53, 30, "F16", DType::F32),
    ("both, f32 to f16", 53, 30, "F32", DType::F16),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => measure(&std::env::temp_dir()),
        [directory] => measure(Path::new(directory)),
        [what, case, path] => timed(what, case.parse()?, path),
        _ => Err("usage: load_speed [DIRECTORY]".into()),
    }
}

fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    for (case, (name, convs, linears, stored, dtype)) in CASES.iter().enumerate() {
        let path: PathBuf = directory.join("load_speed.safetensors");
        write(&path, *convs, *linears, stored)?;
        let megabytes = std::fs::metadata(&path)?.len() / 1_000_000;
        println!("{name}: {megabytes} MB in the file, loaded as {dtype:?}");
        for what in ["copy", "load", "copy", "load", "copy", "load"] {
            let this = std::env::current_exe()?;
            let status = Command::new(this).args([what, &case.to_string()]).arg(&path).status()?;
            if !status.success() {
                return Err(format!("{what} failed").into());
            }
        }
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn timed(what: &str, case: usize, path: &str) -> Result<(), Box<dyn Error>> {
    let (_, convs, linears, _, dtype) = CASES.get(case).ok_or("no such case")?;
    let start = Instant::now();
    let seconds = if what == "copy" {
        let bytes = std::fs::read(path)?;
        let seconds = start.elapsed().as_secs_f64();
        assert!(!bytes.is_empty());
        seconds
    } else {
        let options = LoadOptions::new().with_float(*dtype);
        let network = load(Network::new(*convs, *linears), &Tensors::open(path)?, &options)?;
        let seconds = start.elapsed().as_secs_f64();
        assert!(network.num_params() > 0);
        seconds
    };
    println!("  {what}: {seconds:.3} s, peak {} MB", peak().unwrap_or_default());
    Ok(())
}

/// The most memory that this process has had, in megabytes, where Linux says so.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024 / 1_000_000)
}

/// Writes a file of small numbers, tensor by tensor.
fn write(path: &Path, convs: usize, linears: usize, dtype: &str) -> Result<(), Box<dyn Error>> {
    use std::io::Write;
    let size = if dtype == "F16" { 2 } else { 4 };
    let conv = (0..convs).map(|i| (format!("convs.{i}.weight"), vec![512, 512, 3, 3]));
    let linear = (0..linears).map(|i| (format!("linears.{i}.weight"), vec![2048, 2048]));
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    let mut lengths = Vec::new();
    for (name, shape) in conv.chain(linear) {
        let length = shape.iter().product::<usize>() * size;
        let entry = serde_json::json!({
            "dtype": dtype, "shape": shape, "data_offsets": [end, end + length],
        });
        header.insert(name, entry);
        lengths.push(length);
        end += length;
    }
    let header = serde_json::to_vec(&header)?;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for length in lengths {
        // 0.0117 or so as f32, and small as f16 too.
        file.write_all(&[0x40, 0x3c].repeat(length / 2))?;
    }
    file.flush()?;
    Ok(())
}
