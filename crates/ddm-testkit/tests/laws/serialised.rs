//! What is serialised comes back the same, and what is invalid does not come back at all.

use std::fmt::Debug;

use ddm_denoiser::{
    Consistent, EpsilonPrediction, FlowPrediction, ScaledInput, ScorePrediction, VPrediction,
    X0Prediction,
};
use ddm_samplers::{Churn, Ddim, Ddpm, Extrapolate, Heun, LaggingChurn, SaSolver, Variance};
use ddm_schedule::{
    BetaTable, Cosine, Leading, Levels, LinearVp, Linspace, NoiseLevel, NoiseSchedule,
    RectifiedFlow, Trailing,
};
use ddm_testkit::compare;
use serde::{Serialize, de::DeserializeOwned};

use crate::holds;

#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let text = serde_json::to_string(&value).unwrap();
    let back: T = serde_json::from_str(&text).unwrap();
    assert_eq!(back, value, "{text}");
}

#[test]
fn everything_comes_back() {
    comes_back(BetaTable::new([0.25, 0.5, 0.75]).unwrap());
    comes_back(Cosine::default());
    comes_back(Cosine::new(0.25).unwrap());
    comes_back(LinearVp::default());
    comes_back(LinearVp::new(0.0, 12.5).unwrap());
    comes_back(RectifiedFlow);
    comes_back((Trailing, Linspace, Leading { offset: 1 }));
    comes_back(NoiseLevel { timestep: 31.25, alpha: 0.6, sigma: 0.8 });
    comes_back(Levels::at_times(&RectifiedFlow, [1.0, 0.5, 0.125]).unwrap());
    comes_back((EpsilonPrediction, X0Prediction, VPrediction));
    comes_back((ScorePrediction, FlowPrediction, ScaledInput(EpsilonPrediction)));
    comes_back(Ddim::new(0.5).unwrap());
    comes_back([Variance::Small, Variance::Large, Variance::Learned]);
    comes_back(Ddpm { variance: Variance::Large });
    comes_back(SaSolver::new(3, Some(2)).unwrap().answer(Extrapolate::Noise));
    let churn = Churn::new(Heun::default(), 40.0).unwrap();
    comes_back(churn);
    comes_back(churn.between(0.05, 50.0).unwrap().s_noise(1.0078125).unwrap());
    comes_back(churn.between(0.5, f64::INFINITY).unwrap());
    comes_back(Churn::new(churn, 1.0).unwrap());
    let churn = Churn::new(Ddim::EULER, 4.0).unwrap();
    comes_back(LaggingChurn { churn, parameterization: VPrediction });
    comes_back(Consistent::new(X0Prediction).timestep_scaling(2.5).unwrap());
}

/// serde_json may read a number one rounding off what was written.
#[test]
fn long_fractions_come_back_to_the_last_digit_but_one() {
    let table = BetaTable::default();
    let text = serde_json::to_string(&table).unwrap();
    let back: BetaTable = serde_json::from_str(&text).unwrap();
    holds(compare::close("betas", back.betas(), table.betas(), 1e-17));
    for t in [0.001, 0.4567, 1.0] {
        let (found, demanded) = (back.level(t), table.level(t));
        let numbers = |level: NoiseLevel| [level.timestep, level.alpha, level.sigma];
        holds(compare::close("levels", &numbers(found), &numbers(demanded), 1e-14));
    }
}

#[test]
fn the_forms_are_these() {
    let json = |value: &dyn erased::Json| value.json();
    assert_eq!(json(&Cosine::default()), r#"{"s":0.008}"#);
    assert_eq!(json(&LinearVp::default()), r#"{"beta_min":0.1,"beta_max":20.0}"#);
    assert_eq!(json(&BetaTable::new([0.25, 0.5]).unwrap()), "[0.25,0.5]");
    assert_eq!(json(&Leading { offset: 1 }), r#"{"offset":1}"#);
    assert_eq!(json(&Ddim::new(0.5).unwrap()), r#"{"eta":0.5}"#);
    assert_eq!(json(&Ddpm::default()), r#"{"variance":"Small"}"#);
}

/// Serde's trait cannot be an object; this can.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> String;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(text: &str, part: &str) {
    let message = serde_json::from_str::<T>(text).unwrap_err().to_string();
    assert!(message.contains(part), "\"{message}\" does not say {part}");
}

#[test]
fn invalid_settings_do_not_come_back() {
    refused::<BetaTable>("[]", "empty");
    refused::<BetaTable>("[0.1,1.5]", "beta[1] = 1.5");
    refused::<BetaTable>("[0.1,-0.5]", "-0.5");
    refused::<Cosine>(r#"{"s":-1.0}"#, "s is -1");
    refused::<LinearVp>(r#"{"beta_min":-0.1,"beta_max":20.0}"#, "beta_min is -0.1");
    refused::<LinearVp>(r#"{"beta_min":0.1,"beta_max":0.0}"#, "beta_max is 0");
    refused::<Ddim>(r#"{"eta":-1.0}"#, "eta = -1");
    refused::<Ddim>(r#"{"eta":1.5}"#, "eta = 1.5");
    refused::<Ddpm>(r#"{"variance":"Huge"}"#, "Huge");
    let churn = |inner: &str, churn: f64, low: f64, high: &str, noise: f64| {
        format!(
            r#"{{"inner":{inner},"s_churn":{churn},"s_tmin":{low},"s_tmax":{high},"s_noise":{noise}}}"#
        )
    };
    let ddim = r#"{"eta":0.0}"#;
    assert!(serde_json::from_str::<Churn<Ddim>>(&churn(ddim, 1.0, 0.0, "null", 1.0)).is_ok());
    refused::<Churn<Ddim>>(&churn(ddim, -1.0, 0.0, "null", 1.0), "s_churn = -1");
    refused::<Churn<Ddim>>(&churn(ddim, 1.0, -2.0, "null", 1.0), "s_tmin = -2");
    refused::<Churn<Ddim>>(&churn(ddim, 1.0, 2.0, "1.5", 1.0), "s_tmax = 1.5");
    refused::<Churn<Ddim>>(&churn(ddim, 1.0, 0.0, "null", -0.5), "s_noise = -0.5");
    refused::<Churn<Ddim>>(&churn(r#"{"eta":3.0}"#, 1.0, 0.0, "null", 1.0), "eta = 3");
    let lagging = churn(ddim, -1.0, 0.0, "null", 1.0);
    let lagging = format!(r#"{{"churn":{lagging},"parameterization":null}}"#);
    refused::<LaggingChurn<VPrediction>>(&lagging, "s_churn = -1");
    let consistent = r#"{"inner":null,"timestep_scaling":0.0}"#;
    refused::<Consistent<()>>(consistent, "timestep_scaling is 0");
    refused::<Levels>("[]", "0 given");
    let level = r#"{"t":1.0,"alpha":0.6,"sigma":0.8}"#;
    refused::<Levels>(&format!("[{level},{level}]"), "falling");
    let negative = r#"{"t":1.0,"alpha":0.6,"sigma":-0.8}"#;
    refused::<Levels>(&format!("[{negative},{level}]"), "-0.8");
}
