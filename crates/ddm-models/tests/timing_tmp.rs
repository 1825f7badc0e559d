use burn::module::Module;
use burn::optim::*;
use burn::tensor::*;
use ddm_denoiser::*;
use ddm_models::*;
use std::time::Instant;
#[test]
fn timing() {
    let dev = Device::flex();
    let cfg = UNetConfig::new(1, 1).with_channels(vec![32, 64]).with_classes(Some(10));
    let net = cfg.init(&dev).unwrap();
    println!("params {}", net.num_params());
    let x = Tensor::<4>::random([128, 1, 8, 8], Distribution::Normal(0., 1.), &dev);
    let t = Tensor::<1>::full([128], 300.0, &dev);
    let med = |mut v: Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let mut ts = vec![];
    for _ in 0..9 {
        let s = Instant::now();
        let y = NoisePredictor::predict(&net, x.clone(), t.clone());
        let _ = y.sum().into_scalar::<f32>();
        ts.push(s.elapsed().as_secs_f64() * 1e3);
    }
    println!("forward {:.1} ms", med(ts));
    let dev = dev.autodiff();
    let mut net = cfg.init(&dev).unwrap();
    let x = Tensor::<4>::random([128, 1, 8, 8], Distribution::Normal(0., 1.), &dev);
    let t = Tensor::<1>::full([128], 300.0, &dev);
    let mut o = AdamConfig::new().init();
    let (mut f, mut b, mut st) = (vec![], vec![], vec![]);
    for _ in 0..9 {
        let s = Instant::now();
        let y = NoisePredictor::predict(&net, x.clone(), t.clone());
        let l = (y - x.clone()).square().mean();
        let _ = l.clone().into_scalar::<f32>();
        f.push(s.elapsed().as_secs_f64() * 1e3);
        let s = Instant::now();
        let g = l.backward();
        b.push(s.elapsed().as_secs_f64() * 1e3);
        let s = Instant::now();
        let g = GradientsParams::from_grads(g, &net);
        net = o.step(1e-3, net, g);
        st.push(s.elapsed().as_secs_f64() * 1e3);
    }
    println!("train forward {:.1} backward {:.1} adam {:.1} ms", med(f), med(b), med(st));
}
