//! What is serialised comes back the same, and what is invalid does not come back at all.

use std::fmt::Debug;

use ddm_denoiser::{
    EpsilonPrediction, FlowPrediction, ScaledInput, ScorePrediction, VPrediction, X0Prediction,
};
use ddm_samplers::{Ddim, Ddpm, Variance};
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
    comes_back(NoiseLevel { t: 31.25, alpha: 0.6, sigma: 0.8 });
    comes_back(Levels::at_times(&RectifiedFlow, [1.0, 0.5, 0.125]).unwrap());
    comes_back((EpsilonPrediction, X0Prediction, VPrediction));
    comes_back((ScorePrediction, FlowPrediction, ScaledInput(EpsilonPrediction)));
    comes_back(Ddim::new(0.5).unwrap());
    comes_back([Variance::Small, Variance::Large, Variance::Learned]);
    comes_back(Ddpm { variance: Variance::Large });
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
        let numbers = |level: NoiseLevel| [level.t, level.alpha, level.sigma];
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
    refused::<Cosine>(r#"{"s":-1.0}"#, "s = -1");
    refused::<LinearVp>(r#"{"beta_min":-0.1,"beta_max":20.0}"#, "beta_min = -0.1");
    refused::<LinearVp>(r#"{"beta_min":0.1,"beta_max":0.0}"#, "beta_max = 0");
    refused::<Ddim>(r#"{"eta":-1.0}"#, "eta = -1");
    refused::<Ddim>(r#"{"eta":1.5}"#, "eta = 1.5");
    refused::<Ddpm>(r#"{"variance":"Huge"}"#, "Huge");
    refused::<Levels>("[]", "0 given");
    let level = r#"{"t":1.0,"alpha":0.6,"sigma":0.8}"#;
    refused::<Levels>(&format!("[{level},{level}]"), "falling");
    let negative = r#"{"t":1.0,"alpha":0.6,"sigma":-0.8}"#;
    refused::<Levels>(&format!("[{negative},{level}]"), "-0.8");
}
