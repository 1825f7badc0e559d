use burn::tensor::*; use burn::nn::*; use burn::nn::conv::*; use ddm_models::blocks::*;
use std::time::Instant;
fn time(name: &str, f: &dyn Fn()->Tensor<4>) -> f64 {
    let mut v=vec![]; for _ in 0..9 { let s=Instant::now(); let y=f(); std::hint::black_box(&y); v.push(s.elapsed().as_secs_f64()*1e3); }
    v.sort_by(f64::total_cmp); println!("{name:30} {:.2} ms", v[4]); v[4]
}
#[test]
fn micro() {
  for dev in [Device::flex(), Device::flex().autodiff()] {
    let mut sum=0.;
    let r=|c:usize,h:usize| Tensor::<4>::random([128,c,h,h],Distribution::Normal(0.,1.),&dev);
    for (i,o,h,s,k) in [(1,32,8,1,3),(32,32,8,1,3),(32,32,8,2,3),(32,64,4,1,3),(64,64,4,1,3),(128,64,4,1,3),(96,64,4,1,3),(64,32,8,1,3),(64,64,8,1,3),(64,32,8,1,1),(96,32,8,1,3),(96,32,8,1,1),(32,1,8,1,3)] {
        let p = if k==3 {PaddingConfig2d::Explicit(1,1,1,1)} else {PaddingConfig2d::Valid};
        let c=Conv2dConfig::new([i,o],[k,k]).with_stride([s,s]).with_padding(p).init(&dev);
        let x=r(i,h);
        let fl = 2.0*(i*o*k*k*128*h*h/s/s) as f64/1e6;
        let t=time(&format!("conv {i}->{o} @{h} s{s} k{k}"),&||c.forward(x.clone()));
        println!("      {:.0} GF/s", fl/t);
    }
    let c=Tensor::<2>::random([128,128],Distribution::Normal(0.,1.),&dev);
    for (i,o,h) in [(32,32,8),(32,64,4),(64,64,4),(128,64,4),(96,64,4),(64,32,8),(64,32,8)] {
        let b=ResidualConfig::new(i,o).with_condition(Some(128)).init(&dev).unwrap();
        let x=r(i,h);
        sum+=time(&format!("res {i}->{o} @{h}"),&||b.forward(x.clone(),Some(&c)));
        if dev.is_autodiff() { time("   +bwd",&||{let y=b.forward(x.clone(),Some(&c)).sum(); let _=y.backward(); x.clone()}); }
    }
    let a=SelfAttention::new(64,32,8,&dev).unwrap(); let x=r(64,4);
    sum+=time("attention",&||a.forward(x.clone()));
    let u=Upsample::new(64,32,&dev);
    sum+=time("up",&||u.forward(x.clone()));
    println!("sum {sum:.1} ms");
  }
}
