//! The names and shapes of the released checkpoints, as their own repositories build them, in files
//! without numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use tempfile::TempDir;

/// The tensors of a checkpoint.
#[derive(Clone, Default)]
pub(super) struct Original(pub(super) BTreeMap<String, Vec<usize>>);

/// The settings of a U-Net.
pub(super) struct UNet {
    pub(super) input: usize,
    pub(super) width: usize,
    pub(super) multiples: &'static [usize],
    /// The transformer blocks of each level, and of the middle.
    pub(super) depths: &'static [usize],
    pub(super) middle: usize,
    pub(super) context: usize,
    pub(super) linear: bool,
    pub(super) vector: Option<usize>,
    /// The levels whose first attention is to the text.
    pub(super) only_text: &'static [usize],
}

impl Original {
    fn tensor(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.insert(name.into(), shape.to_vec());
    }

    /// A layer with biases.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.tensor(format!("{name}.weight"), shape);
        self.tensor(format!("{name}.bias"), &shape[..1]);
    }

    /// Everything of another under a prefix.
    pub(super) fn with(mut self, prefix: &str, other: Self) -> Self {
        self.0.extend(other.0.into_iter().map(|(name, shape)| (format!("{prefix}{name}"), shape)));
        self
    }

    pub(super) fn unet(of: &UNet) -> Self {
        let mut all = Self::default();
        let (width, time) = (of.width, 4 * of.width);
        all.layer("time_embed.0", &[time, width]);
        all.layer("time_embed.2", &[time, time]);
        if let Some(vector) = of.vector {
            all.layer("label_emb.0.0", &[time, vector]);
            all.layer("label_emb.0.2", &[time, time]);
        }
        all.layer("input_blocks.0.0", &[width, of.input, 3, 3]);
        let (mut skips, mut channels, mut number) = (vec![width], width, 1);
        let levels = of.multiples.len();
        for level in 0..levels {
            for _ in 0..2 {
                let block = format!("input_blocks.{number}");
                all.residual(&format!("{block}.0"), channels, of.multiples[level] * width, time);
                channels = of.multiples[level] * width;
                all.transformer(&format!("{block}.1"), channels, of.depths[level], level, of);
                skips.push(channels);
                number += 1;
            }
            if level + 1 < levels {
                all.layer(&format!("input_blocks.{number}.0.op"), &[channels, channels, 3, 3]);
                skips.push(channels);
                number += 1;
            }
        }
        all.residual("middle_block.0", channels, channels, time);
        all.transformer("middle_block.1", channels, of.middle, usize::MAX, of);
        all.residual("middle_block.2", channels, channels, time);
        let mut number = 0;
        for level in (0..levels).rev() {
            for block in 0..3 {
                let name = format!("output_blocks.{number}");
                let to = of.multiples[level] * width;
                all.residual(&format!("{name}.0"), channels + skips.pop().unwrap(), to, time);
                channels = to;
                all.transformer(&format!("{name}.1"), channels, of.depths[level], level, of);
                if block == 2 && level > 0 {
                    let place = if of.depths[level] > 0 { 2 } else { 1 };
                    all.layer(&format!("{name}.{place}.conv"), &[channels, channels, 3, 3]);
                }
                number += 1;
            }
        }
        all.layer("out.0", &[width]);
        all.layer("out.2", &[4, width, 3, 3]);
        all
    }

    fn residual(&mut self, name: &str, from: usize, to: usize, time: usize) {
        self.layer(&format!("{name}.in_layers.0"), &[from]);
        self.layer(&format!("{name}.in_layers.2"), &[to, from, 3, 3]);
        self.layer(&format!("{name}.emb_layers.1"), &[to, time]);
        self.layer(&format!("{name}.out_layers.0"), &[to]);
        self.layer(&format!("{name}.out_layers.3"), &[to, to, 3, 3]);
        if from != to {
            self.layer(&format!("{name}.skip_connection"), &[to, from, 1, 1]);
        }
    }

    fn transformer(&mut self, name: &str, width: usize, depth: usize, level: usize, of: &UNet) {
        if depth == 0 {
            return;
        }
        let project: &[usize] = if of.linear { &[width, width] } else { &[width, width, 1, 1] };
        self.layer(&format!("{name}.norm"), &[width]);
        self.layer(&format!("{name}.proj_in"), project);
        self.layer(&format!("{name}.proj_out"), project);
        for block in 0..depth {
            let name = format!("{name}.transformer_blocks.{block}");
            let first = if of.only_text.contains(&level) { of.context } else { width };
            for (attention, seen) in [("attn1", first), ("attn2", of.context)] {
                self.tensor(format!("{name}.{attention}.to_q.weight"), &[width, width]);
                self.tensor(format!("{name}.{attention}.to_k.weight"), &[width, seen]);
                self.tensor(format!("{name}.{attention}.to_v.weight"), &[width, seen]);
                self.layer(&format!("{name}.{attention}.to_out.0"), &[width, width]);
            }
            self.layer(&format!("{name}.ff.net.0.proj"), &[8 * width, width]);
            self.layer(&format!("{name}.ff.net.2"), &[width, 4 * width]);
            for norm in 1..4 {
                self.layer(&format!("{name}.norm{norm}"), &[width]);
            }
        }
    }

    /// An autoencoder of 128 channels, times these.
    pub(super) fn autoencoder(latent: usize, quant: bool, multiples: &[usize]) -> Self {
        let mut all = Self::default();
        let mut channels = 128;
        all.layer("encoder.conv_in", &[channels, 3, 3, 3]);
        let last = multiples.len() - 1;
        for (level, multiple) in multiples.iter().enumerate() {
            let name = format!("encoder.down.{level}");
            for block in 0..2 {
                all.block(&format!("{name}.block.{block}"), channels, 128 * multiple);
                channels = 128 * multiple;
            }
            if level < last {
                all.layer(&format!("{name}.downsample.conv"), &[channels, channels, 3, 3]);
            }
        }
        all.middle("encoder.mid", channels);
        all.layer("encoder.norm_out", &[channels]);
        all.layer("encoder.conv_out", &[2 * latent, channels, 3, 3]);
        all.layer("decoder.conv_in", &[channels, latent, 3, 3]);
        all.middle("decoder.mid", channels);
        for (level, multiple) in multiples.iter().enumerate().rev() {
            let name = format!("decoder.up.{level}");
            for block in 0..3 {
                all.block(&format!("{name}.block.{block}"), channels, 128 * multiple);
                channels = 128 * multiple;
            }
            if level > 0 {
                all.layer(&format!("{name}.upsample.conv"), &[channels, channels, 3, 3]);
            }
        }
        all.layer("decoder.norm_out", &[channels]);
        all.layer("decoder.conv_out", &[3, channels, 3, 3]);
        if quant {
            all.layer("quant_conv", &[2 * latent, 2 * latent, 1, 1]);
            all.layer("post_quant_conv", &[latent, latent, 1, 1]);
        }
        all
    }

    fn middle(&mut self, name: &str, channels: usize) {
        self.block(&format!("{name}.block_1"), channels, channels);
        self.layer(&format!("{name}.attn_1.norm"), &[channels]);
        for layer in ["q", "k", "v", "proj_out"] {
            self.layer(&format!("{name}.attn_1.{layer}"), &[channels, channels, 1, 1]);
        }
        self.block(&format!("{name}.block_2"), channels, channels);
    }

    fn block(&mut self, name: &str, from: usize, to: usize) {
        self.layer(&format!("{name}.norm1"), &[from]);
        self.layer(&format!("{name}.conv1"), &[to, from, 3, 3]);
        self.layer(&format!("{name}.norm2"), &[to]);
        self.layer(&format!("{name}.conv2"), &[to, to, 3, 3]);
        if from != to {
            self.layer(&format!("{name}.nin_shortcut"), &[to, from, 1, 1]);
        }
    }

    /// A CLIP by the names of transformers.
    pub(super) fn clip(width: usize, layers: usize) -> Self {
        let mut all = Self::default();
        all.tensor("text_model.embeddings.token_embedding.weight", &[49408, width]);
        all.tensor("text_model.embeddings.position_embedding.weight", &[77, width]);
        for layer in 0..layers {
            let name = format!("text_model.encoder.layers.{layer}");
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                all.layer(&format!("{name}.self_attn.{part}"), &[width, width]);
            }
            all.layer(&format!("{name}.layer_norm1"), &[width]);
            all.layer(&format!("{name}.layer_norm2"), &[width]);
            all.layer(&format!("{name}.mlp.fc1"), &[4 * width, width]);
            all.layer(&format!("{name}.mlp.fc2"), &[width, 4 * width]);
        }
        all.layer("text_model.final_layer_norm", &[width]);
        all
    }

    /// A CLIP by the names of open_clip.
    pub(super) fn open_clip(width: usize, layers: usize) -> Self {
        let mut all = Self::default();
        all.tensor("token_embedding.weight", &[49408, width]);
        all.tensor("positional_embedding", &[77, width]);
        all.tensor("text_projection", &[width, width]);
        for layer in 0..layers {
            let name = format!("transformer.resblocks.{layer}");
            all.tensor(format!("{name}.attn.in_proj_weight"), &[3 * width, width]);
            all.tensor(format!("{name}.attn.in_proj_bias"), &[3 * width]);
            all.layer(&format!("{name}.attn.out_proj"), &[width, width]);
            all.layer(&format!("{name}.ln_1"), &[width]);
            all.layer(&format!("{name}.ln_2"), &[width]);
            all.layer(&format!("{name}.mlp.c_fc"), &[4 * width, width]);
            all.layer(&format!("{name}.mlp.c_proj"), &[width, 4 * width]);
        }
        all.layer("ln_final", &[width]);
        all
    }

    pub(super) fn t5() -> Self {
        let (width, inner) = (4096, 10240);
        let mut all = Self::default();
        all.tensor("shared.weight", &[32128, width]);
        for block in 0..24 {
            let name = format!("encoder.block.{block}.layer");
            for part in ["q", "k", "v", "o"] {
                all.tensor(format!("{name}.0.SelfAttention.{part}.weight"), &[width, width]);
            }
            all.tensor(format!("{name}.0.layer_norm.weight"), &[width]);
            all.tensor(format!("{name}.1.layer_norm.weight"), &[width]);
            all.tensor(format!("{name}.1.DenseReluDense.wi_0.weight"), &[inner, width]);
            all.tensor(format!("{name}.1.DenseReluDense.wi_1.weight"), &[inner, width]);
            all.tensor(format!("{name}.1.DenseReluDense.wo.weight"), &[width, inner]);
        }
        let biases = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        all.tensor(biases, &[32, 64]);
        all.tensor("encoder.final_layer_norm.weight", &[width]);
        all
    }

    /// Stable Diffusion 3's transformer, of as many heads as blocks.
    pub(super) fn sd3(depth: usize, dual: usize, qk_norm: bool, table: usize) -> Self {
        let width = 64 * depth;
        let mut all = Self::default();
        all.tensor("pos_embed", &[1, table * table, width]);
        all.layer("x_embedder.proj", &[width, 16, 2, 2]);
        for (name, from) in [("t_embedder", 256), ("y_embedder", 2048)] {
            all.layer(&format!("{name}.mlp.0"), &[width, from]);
            all.layer(&format!("{name}.mlp.2"), &[width, width]);
        }
        all.layer("context_embedder", &[width, 4096]);
        for block in 0..depth {
            for stream in ["x_block", "context_block"] {
                let name = format!("joint_blocks.{block}.{stream}");
                let is_last = stream == "context_block" && block + 1 == depth;
                let dual = stream == "x_block" && block < dual;
                let parts = if is_last { 2 } else { 6 + 3 * usize::from(dual) };
                all.layer(&format!("{name}.adaLN_modulation.1"), &[parts * width, width]);
                for attention in if dual { &["attn", "attn2"][..] } else { &["attn"] } {
                    all.layer(&format!("{name}.{attention}.qkv"), &[3 * width, width]);
                    if qk_norm {
                        all.tensor(format!("{name}.{attention}.ln_q.weight"), &[64]);
                        all.tensor(format!("{name}.{attention}.ln_k.weight"), &[64]);
                    }
                    if !is_last {
                        all.layer(&format!("{name}.{attention}.proj"), &[width, width]);
                    }
                }
                if !is_last {
                    all.layer(&format!("{name}.mlp.fc1"), &[4 * width, width]);
                    all.layer(&format!("{name}.mlp.fc2"), &[width, 4 * width]);
                }
            }
        }
        all.layer("final_layer.linear", &[64, width]);
        all.layer("final_layer.adaLN_modulation.1", &[2 * width, width]);
        all
    }

    pub(super) fn flux(guidance: bool) -> Self {
        let width = 3072;
        let mut all = Self::default();
        all.layer("img_in", &[width, 64]);
        all.layer("txt_in", &[width, 4096]);
        let mut inputs = vec![("time_in", 256), ("vector_in", 768)];
        inputs.extend(guidance.then_some(("guidance_in", 256)));
        for (name, from) in inputs {
            all.layer(&format!("{name}.in_layer"), &[width, from]);
            all.layer(&format!("{name}.out_layer"), &[width, width]);
        }
        for block in 0..19 {
            for stream in ["img", "txt"] {
                let name = format!("double_blocks.{block}.{stream}");
                all.layer(&format!("{name}_mod.lin"), &[6 * width, width]);
                all.layer(&format!("{name}_attn.qkv"), &[3 * width, width]);
                all.layer(&format!("{name}_attn.proj"), &[width, width]);
                all.tensor(format!("{name}_attn.norm.query_norm.scale"), &[128]);
                all.tensor(format!("{name}_attn.norm.key_norm.scale"), &[128]);
                all.layer(&format!("{name}_mlp.0"), &[4 * width, width]);
                all.layer(&format!("{name}_mlp.2"), &[width, 4 * width]);
            }
        }
        for block in 0..38 {
            let name = format!("single_blocks.{block}");
            all.layer(&format!("{name}.linear1"), &[7 * width, width]);
            all.layer(&format!("{name}.linear2"), &[width, 5 * width]);
            all.layer(&format!("{name}.modulation.lin"), &[3 * width, width]);
            all.tensor(format!("{name}.norm.query_norm.scale"), &[128]);
            all.tensor(format!("{name}.norm.key_norm.scale"), &[128]);
        }
        all.layer("final_layer.linear", &[64, width]);
        all.layer("final_layer.adaLN_modulation.1", &[2 * width, width]);
        all
    }

    /// Writes a file of 8-bit floats that are all 0, and takes no space, but for the tensor `nan`.
    pub(super) fn written(&self, nan: Option<&str>) -> (TempDir, PathBuf) {
        let mut header = serde_json::Map::new();
        let (mut end, mut place) = (0, None);
        for (name, shape) in &self.0 {
            let begin = end;
            end += shape.iter().product::<usize>();
            let entry = serde_json::json!({
                "dtype": "F8_E4M3", "shape": shape, "data_offsets": [begin, end],
            });
            header.insert(name.clone(), entry);
            if nan == Some(name) {
                place = Some((begin, end));
            }
        }
        let header = serde_json::to_vec(&header).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.safetensors");
        let mut file = File::create(&path).unwrap();
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(&header).unwrap();
        let data = 8 + header.len() as u64;
        file.set_len(data + end as u64).unwrap();
        if let Some(name) = nan {
            let (begin, end) = place.unwrap_or_else(|| panic!("no tensor {name}"));
            file.seek(SeekFrom::Start(data + begin as u64)).unwrap();
            file.write_all(&vec![0xff; end - begin]).unwrap();
        }
        (directory, path)
    }
}
