"""Records single files in the original layouts, for the tests of ddm-models.

Usage:
    pip install diffusers transformers torch safetensors
        (recorded with diffusers 0.42.1, transformers 5.23.0, torch 2.15.0)
    python record_single_files.py FOLDER

FOLDER is that of this script. It receives, in pipelines/:
    single-file-sd3: the weights of stable-diffusion-3, as Stability AI's files have them.
    single-file-sd35: those of models/sd35-transformer, alone and without a prefix.
    single-file-sd2: a small network and text encoder like those of Stable Diffusion 2, as directories
        and as one file, whose encoder has a layer more, which is not used.
Each file is converted back by diffusers, and must be the same, bit for bit.
"""

import pathlib
import re
import sys

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import single_file_utils as diffusers_files
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.manual_seed(7)
folder = pathlib.Path(sys.argv[1])
pipelines = folder / "pipelines"


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def same(found, expected):
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def save(name, state):
    (pipelines / name).mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    save_file(state, pipelines / name / "model.safetensors")


def of_sd3(state):
    """The names of Stability AI's repository of Stable Diffusion 3, of a transformer of diffusers."""
    swapped = lambda tensor: torch.cat(tensor.chunk(2)[::-1])
    outside = {
        "pos_embed.pos_embed": "pos_embed",
        "pos_embed.proj": "x_embedder.proj",
        "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
        "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
        "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
        "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
        "context_embedder": "context_embedder",
        "proj_out": "final_layer.linear",
        "norm_out.linear": "final_layer.adaLN_modulation.1",
    }
    inside = {
        "attn.to_out.0": "x_block.attn.proj",
        "attn.to_add_out": "context_block.attn.proj",
        "attn.norm_q": "x_block.attn.ln_q",
        "attn.norm_k": "x_block.attn.ln_k",
        "attn.norm_added_q": "context_block.attn.ln_q",
        "attn.norm_added_k": "context_block.attn.ln_k",
        "attn2.to_out.0": "x_block.attn2.proj",
        "attn2.norm_q": "x_block.attn2.ln_q",
        "attn2.norm_k": "x_block.attn2.ln_k",
        "norm1.linear": "x_block.adaLN_modulation.1",
        "norm1_context.linear": "context_block.adaLN_modulation.1",
        "ff.net.0.proj": "x_block.mlp.fc1",
        "ff.net.2": "x_block.mlp.fc2",
        "ff_context.net.0.proj": "context_block.mlp.fc1",
        "ff_context.net.2": "context_block.mlp.fc2",
    }
    fused = {
        "x_block.attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
        "context_block.attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
        "x_block.attn2.qkv": ["attn2.to_q", "attn2.to_k", "attn2.to_v"],
    }
    last = max(int(name.split(".")[1]) for name in state if name.startswith("transformer_blocks."))
    new = {}
    for name, tensor in state.items():
        if name == "pos_embed.pos_embed":
            new[outside[name]] = tensor
            continue
        layer, kind = name.rsplit(".", 1)
        if layer in outside:
            new[f"{outside[layer]}.{kind}"] = swapped(tensor) if layer == "norm_out.linear" else tensor
            continue
        _, block, layer = layer.split(".", 2)
        if layer in inside:
            turned = layer == "norm1_context.linear" and int(block) == last
            tensor = swapped(tensor) if turned else tensor
            new[f"joint_blocks.{block}.{inside[layer]}.{kind}"] = tensor
        for whole, parts in fused.items():
            if layer == parts[0]:
                tensors = [state[f"transformer_blocks.{block}.{part}.{kind}"] for part in parts]
                new[f"joint_blocks.{block}.{whole}.{kind}"] = torch.cat(tensors)
    back = diffusers_files.convert_sd3_transformer_checkpoint_to_diffusers(dict(new))
    same(back, state)
    return new


def of_vae(state, levels):
    """The names of the repository of latent diffusion, of an autoencoder of diffusers."""
    new = {}
    for name, tensor in state.items():
        level = lambda match: f"decoder.up.{levels - 1 - int(match[1])}."
        old = re.sub(r"decoder\.up_blocks\.(\d+)\.", level, name)
        old = re.sub(r"encoder\.down_blocks\.(\d+)\.", r"encoder.down.\1.", old)
        old = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", old)
        old = old.replace("mid_block.attentions.0", "mid.attn_1").replace("resnets", "block")
        old = old.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        old = old.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
        old = old.replace("to_out.0", "proj_out").replace("group_norm", "norm")
        old = re.sub(r"attn_1\.to_(.)\.", r"attn_1.\1.", old)
        new[old] = tensor[:, :, None, None] if "attn_1" in old and tensor.dim() == 2 else tensor
    config = {key: [None] * levels for key in ("down_block_types", "up_block_types")}
    same(diffusers_files.convert_ldm_vae_checkpoint(dict(new), config), state)
    return new


def of_unet(state, config):
    """The names of the repository of latent diffusion, of a U-Net of diffusers."""
    outside = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    resnet = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    layers = config.layers_per_block + 1
    new = {}
    for name, tensor in state.items():
        down = re.match(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name)
        up = re.match(r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name)
        sampler = re.match(r"(down|up)_blocks\.(\d+)\.\w+samplers\.0\.conv\.(.*)", name)
        if down:
            level, kind, layer, rest = down.groups()
            old = f"input_blocks.{int(level) * layers + int(layer) + 1}.{int(kind == 'attentions')}.{rest}"
        elif up:
            level, kind, layer, rest = up.groups()
            old = f"output_blocks.{int(level) * layers + int(layer)}.{int(kind == 'attentions')}.{rest}"
        elif sampler and sampler[1] == "down":
            old = f"input_blocks.{(int(sampler[2]) + 1) * layers}.0.op.{sampler[3]}"
        elif sampler:
            attends = "CrossAttn" in config.up_block_types[int(sampler[2])]
            place = (int(sampler[2]) + 1) * layers - 1
            old = f"output_blocks.{place}.{1 + attends}.conv.{sampler[3]}"
        else:
            start = next(start for start in outside if name.startswith(start + "."))
            old = outside[start] + name[len(start):]
        if "resnets" in name:
            for ours, theirs in resnet.items():
                old = old.replace(f".{ours}.", f".{theirs}.")
        new[old] = tensor
    whole = prefixed("model.diffusion_model.", new)
    same(diffusers_files.convert_ldm_unet_checkpoint(whole, dict(config)), state)
    return whole


def of_open_clip(state, prefix):
    """The names of open_clip, of a text encoder of transformers."""
    inside = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    new = {
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
    }
    for name, tensor in state.items():
        match = re.match(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
        if not match:
            continue
        block, layer, kind = f"transformer.resblocks.{match[1]}", match[2], match[3]
        if layer in inside:
            new[f"{block}.{inside[layer]}.{kind}"] = tensor
        elif layer == "self_attn.q_proj":
            parts = [name.replace("q_proj", f"{part}_proj") for part in "qkv"]
            new[f"{block}.attn.in_proj_{kind}"] = torch.cat([state[part] for part in parts])
    return prefixed(prefix, new)


def filled(network):
    """The network with every parameter random, the biases too."""
    for parameter in network.parameters():
        parameter.normal_(std=0.2)
    return network.eval()


def sd3():
    source = pipelines / "stable-diffusion-3"
    read = lambda part, name: load_file(source / part / f"{name}.safetensors")
    network = of_sd3(read("transformer", "diffusion_pytorch_model"))
    vae = of_vae(read("vae", "diffusion_pytorch_model"), 2)
    clip_l, clip_g = read("text_encoder", "model"), read("text_encoder_2", "model")
    # The released file has no projection of the first encoder: diffusers takes the identity.
    del clip_l["text_projection.weight"]
    save(
        "single-file-sd3",
        prefixed("model.diffusion_model.", network)
        | prefixed("first_stage_model.", vae)
        | prefixed("text_encoders.clip_l.transformer.", clip_l)
        | prefixed("text_encoders.clip_g.transformer.", clip_g)
        | prefixed("text_encoders.t5xxl.transformer.", read("text_encoder_3", "model")),
    )
    source = folder / "models" / "sd35-transformer" / "diffusion_pytorch_model.safetensors"
    save("single-file-sd35", of_sd3(load_file(source)))


def sd2():
    sizes = dict(hidden_size=12, intermediate_size=20, num_attention_heads=3, hidden_act="gelu")
    sizes |= dict(vocab_size=40, max_position_embeddings=9, projection_dim=12, eos_token_id=39, bos_token_id=38)
    encoder = filled(CLIPTextModel(CLIPTextConfig(num_hidden_layers=2, **sizes)))
    longer = filled(CLIPTextModel(CLIPTextConfig(num_hidden_layers=3, **sizes)))
    unet = filled(UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(6, 12),
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=3,
        cross_attention_dim=12,
        attention_head_dim=(2, 3),
        use_linear_projection=True,
    ))
    plain = lambda module: {
        name.removeprefix("text_model."): tensor for name, tensor in module.state_dict().items()
    }
    state = plain(longer) | plain(encoder)  # the third layer is left
    prefix = "cond_stage_model.model."
    text = of_open_clip(state, prefix)
    text[prefix + "text_projection"] = torch.randn(12, 12)
    text[prefix + "logit_scale"] = torch.tensor(4.6)
    back = diffusers_files.convert_open_clip_checkpoint(encoder, dict(text), prefix)
    # diffusers leaves out layer 23, as the released files have it, and the projection.
    back = {name.removeprefix("text_model."): tensor for name, tensor in back.items()}
    kept = {name: back[name] for name in plain(encoder)}
    same(kept, plain(encoder))
    file = of_unet(unet.state_dict(), unet.config) | text
    directory = pipelines / "single-file-sd2"
    unet.save_pretrained(directory / "unet")
    encoder.save_pretrained(directory / "text_encoder")
    save("single-file-sd2", file)


sd3()
sd2()
