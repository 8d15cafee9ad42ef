//! Turns, medians, percentiles and ratios.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::BenchError;

/// What one turn of a contestant gave for one measure, in the measure's unit.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// The turn's figure: its calls a second, its time, its memory.
    pub(super) figure: f64,
    /// The single measurements behind it, for the percentiles.
    pub(super) samples: Vec<f64>,
}

impl Round {
    /// A turn whose figure is the median of its single measurements.
    pub(super) fn median(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self {
            figure: percentile(&samples, 0.5),
            samples,
        }
    }
}

/// Something that can be measured repeatedly.
#[async_trait]
pub(super) trait Contestant: Send {
    /// Its name in the report; our own is the first contestant of a bench.
    fn who(&self) -> String;

    /// Does the work once: one round a measure, always in the same order.
    async fn round(&mut self) -> Result<Vec<Round>, BenchError>;
}

/// A measure before it is filled with rounds.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// What is measured, such as `start to first healthy answer`.
    pub(super) title: String,
    /// The unit of all its figures.
    pub(super) unit: String,
    /// What the ratio ours / rival has to be, against every rival.
    pub(super) bar: Option<Bar>,
}

/// A bound for the ratio ours / rival.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Bar {
    /// Less is better: time, memory.
    AtMost(f64),
    /// More is better: calls a second.
    AtLeast(f64),
}

/// One measure with the figures of all contestants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measure {
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) bar: Option<Bar>,
    /// Ours first.
    pub(super) rows: Vec<Row>,
}

/// The figures of one contestant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) who: String,
    /// The median of the rounds' figures.
    pub(super) median: f64,
    /// Percentiles of all single measurements.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) rounds: usize,
    pub(super) samples: usize,
    /// Ours / this rival's, by the medians; absent for ours.
    pub(super) ratio: Option<f64>,
}

/// Lets the contestants take turns: one turn each to warm up, then `rounds` turns each.
pub(super) async fn interleave(
    contestants: &mut [Box<dyn Contestant>],
    rounds: usize,
    kinds: &[Kind],
) -> Result<Vec<Measure>, BenchError> {
    let mut turns: Vec<Vec<Vec<Round>>> = vec![Vec::new(); contestants.len()];
    for turn in 0..=rounds {
        for (contestant, turns) in contestants.iter_mut().zip(&mut turns) {
            let figures = contestant.round().await?;
            let shown: Vec<String> = figures
                .iter()
                .zip(kinds)
                .map(|(round, kind)| format!("{:.1} {}", round.figure, kind.unit))
                .collect();
            let number = if turn == 0 {
                "warm-up".to_owned()
            } else {
                format!("round {turn}/{rounds}")
            };
            println!(
                "    {number:<12} {:<24} {}",
                contestant.who(),
                shown.join(", ")
            );
            if turn > 0 {
                turns.push(figures);
            }
        }
    }
    let names: Vec<String> = contestants
        .iter()
        .map(|contestant| contestant.who())
        .collect();
    let measure = |(index, kind): (usize, &Kind)| {
        let of = |turns: &Vec<Vec<Round>>| {
            turns
                .iter()
                .filter_map(|turn| turn.get(index).cloned())
                .collect()
        };
        Measure::new(
            kind,
            names.iter().cloned().zip(turns.iter().map(of)).collect(),
        )
    };
    Ok(kinds.iter().enumerate().map(measure).collect())
}

impl Measure {
    /// Sums up the rounds of each contestant, ours first.
    pub(super) fn new(kind: &Kind, rounds: Vec<(String, Vec<Round>)>) -> Self {
        let mut rows: Vec<Row> = rounds
            .into_iter()
            .map(|(who, rounds)| Row::new(who, &rounds))
            .collect();
        if let Some((ours, rivals)) = rows.split_first_mut() {
            for rival in rivals {
                rival.ratio = (rival.median > 0.0).then(|| ours.median / rival.median);
            }
        }
        Self {
            title: kind.title.clone(),
            unit: kind.unit.clone(),
            bar: kind.bar,
            rows,
        }
    }

    /// Whether the bar holds against every rival that was measured; `None` without bar or rival.
    pub(super) fn is_met(&self) -> Option<bool> {
        let bar = self.bar?;
        let ratios: Vec<f64> = self.rows.iter().filter_map(|row| row.ratio).collect();
        let holds = |ratio: &f64| match bar {
            Bar::AtMost(bound) => *ratio <= bound,
            Bar::AtLeast(bound) => *ratio >= bound,
        };
        (!ratios.is_empty()).then(|| ratios.iter().all(holds))
    }
}

impl Row {
    fn new(who: String, rounds: &[Round]) -> Self {
        let mut figures: Vec<f64> = rounds.iter().map(|round| round.figure).collect();
        let mut samples: Vec<f64> = rounds
            .iter()
            .flat_map(|round| round.samples.iter().copied())
            .collect();
        figures.sort_by(f64::total_cmp);
        samples.sort_by(f64::total_cmp);
        Self {
            who,
            median: percentile(&figures, 0.5),
            p50: percentile(&samples, 0.5),
            p99: percentile(&samples, 0.99),
            rounds: rounds.len(),
            samples: samples.len(),
            ratio: None,
        }
    }
}

/// The value below which that part of the sorted values lies, between two values by their
/// distance; 0 without values.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = part * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting {
        name: &'static str,
        turns: std::sync::Arc<std::sync::Mutex<Vec<&'static str>>>,
        figure: f64,
    }

    #[async_trait]
    impl Contestant for Counting {
        fn who(&self) -> String {
            self.name.to_owned()
        }

        async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
            self.turns.lock().unwrap().push(self.name);
            Ok(vec![Round {
                figure: self.figure,
                samples: vec![self.figure, self.figure * 2.0],
            }])
        }
    }

    fn kind(bar: Option<Bar>) -> Kind {
        Kind {
            title: "time".to_owned(),
            unit: "ms".to_owned(),
            bar,
        }
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert_eq!(percentile(&[], 0.5), 0.0);
        assert_eq!(percentile(&[3.0], 0.99), 3.0);
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert_eq!(percentile(&[0.0, 10.0], 0.99), 9.9);
    }

    #[tokio::test]
    async fn contestants_take_turns_and_the_warm_up_does_not_count() {
        let turns = std::sync::Arc::default();
        let contestant = |name, figure| {
            Box::new(Counting {
                name,
                turns: std::sync::Arc::clone(&turns),
                figure,
            }) as Box<dyn Contestant>
        };
        let mut contestants = [contestant("ours", 1.0), contestant("theirs", 4.0)];
        let measures = interleave(&mut contestants, 2, &[kind(Some(Bar::AtMost(0.5)))])
            .await
            .unwrap();
        assert_eq!(*turns.lock().unwrap(), ["ours", "theirs"].repeat(3));
        let rows = &measures[0].rows;
        assert_eq!(
            (rows[0].rounds, rows[0].samples, rows[0].ratio),
            (2, 4, None)
        );
        assert_eq!(rows[1].ratio, Some(0.25));
        assert_eq!(measures[0].is_met(), Some(true));
    }

    #[test]
    fn bar_holds_against_every_rival_or_not_at_all() {
        let rounds = |figure| {
            vec![Round {
                figure,
                samples: vec![figure],
            }]
        };
        let named = |who: &str, figure| (who.to_owned(), rounds(figure));
        let rivals = || vec![named("ours", 10.0), named("a", 2.0), named("b", 5.0)];
        assert_eq!(
            Measure::new(&kind(Some(Bar::AtLeast(2.0))), rivals()).is_met(),
            Some(true)
        );
        assert_eq!(
            Measure::new(&kind(Some(Bar::AtLeast(3.0))), rivals()).is_met(),
            Some(false)
        );
        assert_eq!(Measure::new(&kind(None), rivals()).is_met(), None);
        assert_eq!(
            Measure::new(&kind(Some(Bar::AtMost(1.0))), vec![named("ours", 1.0)]).is_met(),
            None
        );
    }
}
