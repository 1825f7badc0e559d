"""Time per step of diffusers' schedulers alone, for comparison with the bench `sampler_step`.

usage: python benches/diffusers_step.py        (needs torch and diffusers)

Prints, for each scheduler, the median over 15 runs of the time of a run of 20 steps on
[16, 3, 64, 64] divided by 20, in microseconds per step. The model's output is a fixed tensor, so
only the scheduler is measured.
"""
import statistics
import time

import torch
import diffusers

SHAPE, STEPS, RUNS = (16, 3, 64, 64), 20, 15
SD = dict(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
SCHEDULERS = {
    "ddim": ("DDIMScheduler", dict(clip_sample=False)),
    "ddpm": ("DDPMScheduler", dict(clip_sample=False)),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "kdpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm_solver_pp_2m": ("DPMSolverMultistepScheduler", dict(solver_order=2)),
    "dpm_solver_pp_3m": ("DPMSolverMultistepScheduler", dict(solver_order=3)),
    "dpm_solver_pp_2m_sde": ("DPMSolverMultistepScheduler", dict(algorithm_type="sde-dpmsolver++")),
    "dpm_solver_single_2": ("DPMSolverSinglestepScheduler", dict(solver_order=2)),
    "unipc_2": ("UniPCMultistepScheduler", dict(solver_order=2)),
    "deis_2": ("DEISMultistepScheduler", dict(solver_order=2)),
    "lms_4": ("LMSDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", dict(skip_prk_steps=True)),
    "sa_solver": ("SASolverScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}


def one_run(scheduler, x, prediction):
    """Seconds for all steps of one run, without the setup."""
    scheduler.set_timesteps(STEPS)
    start = time.perf_counter()
    for t in scheduler.timesteps:
        scheduler.scale_model_input(x, t)
        x = scheduler.step(prediction, t, x).prev_sample
    return time.perf_counter() - start


def main():
    print(f"diffusers {diffusers.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    x, prediction = torch.ones(SHAPE), torch.full(SHAPE, 0.5)
    for name, (class_name, settings) in SCHEDULERS.items():
        scheduler = getattr(diffusers, class_name)(**SD, **settings)
        one_run(scheduler, x, prediction)
        seconds = statistics.median(one_run(scheduler, x, prediction) for _ in range(RUNS))
        print(f"{name:22} {seconds / STEPS * 1e6:8.0f} us per step")


if __name__ == "__main__":
    with torch.no_grad():
        main()
