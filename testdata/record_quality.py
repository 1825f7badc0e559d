"""Records measures of sample quality from numpy and scipy, for the tests of ddm-quality.

    python testdata/record_quality.py    # writes quality.json; needs numpy and scipy

Each case has two sets of rows, of different sizes, and what is said of them by scipy's sqrtm (Fréchet),
cdist and pdist (kernel, energy and mean distance, nearest neighbours; precision, recall, density and
coverage by their definitions, with closed balls) and scipy.stats (in one dimension).
"""

import json
from pathlib import Path

import numpy as np
import scipy
import scipy.stats
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist, pdist


def frechet(x, y):
    (a, b) = (np.cov(rows, rowvar=False).reshape(x.shape[1], x.shape[1]) for rows in (x, y))
    root = sqrtm(a @ b)
    means = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(means + np.trace(a) + np.trace(b) - 2 * np.trace(root).real)


def kernel(x, y):
    def k(u, v):
        return (u @ v.T / x.shape[1] + 1) ** 3

    def within(rows):
        gram, n = k(rows, rows), len(rows)
        return (gram.sum() - np.trace(gram)) / (n * (n - 1))

    return float(within(x) + within(y) - 2 * k(x, y).mean())


def energy(x, y):
    return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())


def support(real, samples, k):
    radius = [np.sort(cdist(rows, rows), axis=1)[:, k] for rows in (real, samples)]
    d = cdist(real, samples)
    in_real, in_samples = d <= radius[0][:, None], d <= radius[1][None, :]
    return {
        "k": k,
        "precision": float(in_real.any(0).mean()),
        "recall": float(in_samples.any(1).mean()),
        "density": float(in_real.sum() / (k * len(samples))),
        "coverage": float(in_real.any(1).mean()),
    }


def case(name, x, y):
    x, y = np.round(x, 5), np.round(y, 5)
    d = cdist(y, x)
    said = {
        "frechet": frechet(x, y),
        "kernel": kernel(x, y),
        "energy": energy(x, y),
        "support": [support(x, y, k) for k in (1, 3, 5)],
        "mean_distance": [float(pdist(rows).mean()) for rows in (x, y)],
        "nearest": {"index": d.argmin(1).tolist(), "distance": d.min(1).tolist()},
        "wasserstein_1": None,
    }
    if x.shape[1] == 1:
        said["wasserstein_1"] = float(scipy.stats.wasserstein_distance(x[:, 0], y[:, 0]))
        energy_1d = scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2
        assert abs(energy_1d - said["energy"]) < 1e-12
    width = x.shape[1]
    return {"name": name, "width": width, "x": x.ravel().tolist(), "y": y.ravel().tolist(), **said}


def main():
    rng = np.random.default_rng(20)
    normal = rng.standard_normal
    mix = normal((4, 4))
    cases = [
        case("line", normal((31, 1)), 0.5 + 1.5 * normal((24, 1))),
        case("points", normal((60, 4)), 0.3 + 0.7 * normal((45, 4)) @ mix),
        case("fewer rows than features", normal((14, 24)), 0.5 * normal((10, 24))),
        case("relu features", np.maximum(normal((40, 9)), 0), np.maximum(normal((40, 9)) + 0.4, 0)),
    ]
    versions = {"numpy": np.__version__, "scipy": scipy.__version__}
    path = Path(__file__).parent / "quality.json"
    path.write_text(json.dumps({"versions": versions, "cases": cases}) + "\n")


main()
