//! `docs/cost.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::{read, root};

const MINUTES_PER_MONTH: f64 = 30.0 * 24.0 * 60.0;
const MILLION: f64 = 1e6;

/// `prices.json`: what AWS asks, how often each function runs for a message and how long.
#[derive(Deserialize)]
struct Sheet {
    region: String,
    read: String,
    prices: BTreeMap<String, Price>,
    scheduler: Price,
    /// By the type of a resource of the template.
    monthly: BTreeMap<String, Monthly>,
    log: Log,
    flows: Vec<Flow>,
    mapping: Mapping,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Price {
    name: String,
    usd_per_million: f64,
    page: String,
}

#[derive(Deserialize)]
struct Monthly {
    name: String,
    usd: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    kilobytes_per_invocation: f64,
    from: String,
}

#[derive(Deserialize)]
struct Flow {
    key: String,
    name: String,
    what: String,
    runs: Vec<Run>,
    /// Messages that a queue brings to a function.
    parcels: f64,
}

#[derive(Deserialize)]
struct Run {
    function: String,
    times: f64,
    milliseconds: f64,
    how: String,
    #[serde(default)]
    http: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapping {
    calls_per_parcel: f64,
    from: String,
    empty_receives_per_minute: f64,
    queues: f64,
}

/// `measured.json`: calls and units of one message, by flow, function and kind; and of a minute without any.
type Measured = BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>;

/// Columns of the tables: heading, and what is added up in it.
const COLUMNS: [(&str, &[&str]); 8] = [
    ("API", &["api"]),
    ("Lambda, calls", &["lambdaRequest"]),
    ("Lambda, time", &["lambdaGbSecond"]),
    ("SQS", &["sqs"]),
    ("DynamoDB, writing", &["writeUnits"]),
    ("DynamoDB, reading", &["readUnits"]),
    ("KMS", &["kms"]),
    ("Logs", &["logs"]),
];

/// The document.
///
/// # Errors
/// A file cannot be read or names what is not there.
pub fn document() -> Result<String> {
    let here = root().join("infra/reference");
    let sheet: Sheet = serde_json::from_str(&read(&here.join("prices.json"))?)?;
    let measured: Measured = serde_json::from_str(&read(&here.join("measured.json"))?)?;
    let template: Value = serde_yaml_ng::from_str(&read(&root().join("template.yaml"))?)?;
    let calculation = Calculation { sheet: &sheet, measured: &measured, memory: memory(&template) };
    calculation.document(&template)
}

/// Memory of each function in GB.
fn memory(template: &Value) -> BTreeMap<String, f64> {
    let resources = template["Resources"].as_mapping().into_iter().flatten();
    let functions = resources.filter_map(|(_, resource)| {
        let name = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?;
        Some((name.to_owned(), resource["Properties"]["MemorySize"].as_f64()? / 1024.0))
    });
    functions.collect()
}

struct Calculation<'a> {
    sheet: &'a Sheet,
    measured: &'a Measured,
    memory: BTreeMap<String, f64>,
}

/// How much of what, by the keys of the prices.
type Amounts = BTreeMap<&'static str, f64>;

impl Calculation<'_> {
    fn document(&self, template: &Value) -> Result<String> {
        let sheet = self.sheet;
        let mut out = format!(
            "# Cost\n\nMade out of `infra/reference/prices.json` and `measured.json` by `cargo run -q -p reference -- cost > \
             docs/cost.md`; a test\ncompares.\n\nList prices of {} in USD, as known in {} and **not looked up on AWS's pages \
             when this was made**: check them\nbefore you quote anything. No free tier, no discount, no tax. Meta's own prices \
             and those of a language model are not in\nit.\n\n",
            sheet.region, sheet.read
        );
        out.push_str("## In short\n\n| | 1,000 messages | a million messages |\n|---|---|---|\n");
        for flow in &sheet.flows {
            let total: f64 = self.rows(flow)?.iter().map(|(_, amounts)| self.usd(amounts)).sum();
            writeln!(out, "| {} | {:.4} | {total:.2} |", flow.name, total / 1000.0)?;
        }
        writeln!(
            out,
            "| Nothing at all, for a month | | {:.2} |",
            self.month(template)?.iter().map(|row| row.1).sum::<f64>()
        )?;
        out.push_str(HOW);
        for flow in &sheet.flows {
            self.table(flow, &mut out)?;
        }
        self.month_table(template, &mut out)?;
        self.inputs(&mut out)?;
        Ok(out)
    }

    /// What one message costs of each function.
    fn rows(&self, flow: &Flow) -> Result<Vec<(String, Amounts)>> {
        let measured =
            self.measured.get(&flow.key).with_context(|| format!("{} was not measured", flow.key))?;
        let mut rows: BTreeMap<String, Amounts> = BTreeMap::new();
        for run in &flow.runs {
            let row = rows.entry(run.function.clone()).or_default();
            let memory =
                self.memory.get(&run.function).with_context(|| format!("no function {}", run.function))?;
            let mut add = |kind, amount| *row.entry(kind).or_default() += amount;
            add("lambdaRequest", run.times);
            add("lambdaGbSecond", run.times * memory * run.milliseconds / 1000.0);
            add("logs", run.times * self.sheet.log.kilobytes_per_invocation);
            if run.http {
                add("api", run.times);
            }
        }
        for (function, calls) in measured {
            // What is left of schedules that ran meanwhile belongs to no message.
            let Some(row) = rows.get_mut(&function_name(function)) else { continue };
            for kind in ["sqs", "writeUnits", "readUnits", "kms"] {
                *row.entry(kind).or_default() += calls.get(kind).copied().unwrap_or_default();
            }
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        let polls = flow.parcels * self.sheet.mapping.calls_per_parcel;
        rows.push(("pollers of the queues".to_owned(), Amounts::from([("sqs", polls)])));
        Ok(rows)
    }

    fn usd_of(&self, kind: &str, amount: f64) -> f64 {
        self.sheet.prices.get(kind).map_or(0.0, |price| price.usd_per_million * amount)
    }

    /// USD for a million times these amounts.
    fn usd(&self, amounts: &Amounts) -> f64 {
        amounts.iter().map(|(kind, amount)| self.usd_of(kind, *amount)).sum()
    }

    fn table(&self, flow: &Flow, out: &mut String) -> Result<()> {
        writeln!(out, "\n## {}\n\nUSD for a million: {}\n", flow.name, flow.what)?;
        let headings: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
        writeln!(
            out,
            "| Function | {} | Together |\n|---|{}---|",
            headings.join(" | "),
            "---|".repeat(COLUMNS.len())
        )?;
        let mut sums = Amounts::new();
        for (function, amounts) in self.rows(flow)? {
            for (kind, amount) in &amounts {
                *sums.entry(kind).or_default() += amount;
            }
            self.line(
                &format!("`{function}`").replace("`pollers of the queues`", "pollers of the queues"),
                &amounts,
                out,
            )?;
        }
        self.line("**Together**", &sums, out)
    }

    fn line(&self, name: &str, amounts: &Amounts, out: &mut String) -> Result<()> {
        write!(out, "| {name} |")?;
        for (_, kinds) in COLUMNS {
            let usd: f64 = kinds
                .iter()
                .map(|kind| self.usd_of(kind, amounts.get(kind).copied().unwrap_or_default()))
                .sum();
            write!(out, " {} |", if usd < 0.0005 { "–".to_owned() } else { format!("{usd:.3}") })?;
        }
        writeln!(out, " {:.2} |", self.usd(amounts))?;
        Ok(())
    }

    /// What a month costs in which no message comes.
    fn month(&self, template: &Value) -> Result<Vec<(String, f64)>> {
        let idle = self.measured.get("aMinute").context("a minute without messages was not measured")?;
        let units =
            |kind: &str| idle.values().filter_map(|calls| calls.get(kind)).sum::<f64>() * MINUTES_PER_MONTH;
        let mut rows = Vec::new();
        let schedules = schedules(template) * MINUTES_PER_MONTH;
        let usd = schedules * self.sheet.scheduler.usd_per_million / MILLION;
        rows.push((format!("{schedules:.0} runs of schedules: {}", self.sheet.scheduler.name), usd));
        let usd = self.usd_of("lambdaRequest", schedules) / MILLION;
        rows.push(("the same runs, as invocations of Lambda".to_owned(), usd));
        for kind in ["readUnits", "writeUnits"] {
            let usd = self.usd_of(kind, units(kind)) / MILLION;
            rows.push((format!("{:.0} units of theirs: {}", units(kind), self.sheet.prices[kind].name), usd));
        }
        let mapping = &self.sheet.mapping;
        let receives = mapping.empty_receives_per_minute * mapping.queues * MINUTES_PER_MONTH;
        rows.push((
            format!("{receives:.0} empty receives of the queues' pollers"),
            self.usd_of("sqs", receives) / MILLION,
        ));
        let resources = template["Resources"].as_mapping().context("the template has no resources")?;
        for (kind, monthly) in &self.sheet.monthly {
            // What stands under a condition is there by a parameter only.
            let always = resources.values().filter(|it| it["Condition"].is_null());
            let count = always.filter(|it| it["Type"] == kind.as_str()).map(billed).sum::<usize>() as f64;
            rows.push((format!("{count} × {}", monthly.name), count * monthly.usd));
        }
        Ok(rows)
    }

    fn month_table(&self, template: &Value, out: &mut String) -> Result<()> {
        out.push_str("\n## A month without messages\n\n| | USD |\n|---|---|\n");
        for (name, usd) in self.month(template)? {
            writeln!(out, "| {name} | {usd:.2} |")?;
        }
        out.push_str(
            "\nTime of scheduled runs is some cents. Data at rest comes on top: DynamoDB 0.25 USD a GB and month and 0.20 \
             for point-in-time recovery, files in S3 0.023 USD a GB and month. A metric of ours that was counted in a month \
             costs 0.30 USD.\n",
        );
        Ok(())
    }

    fn inputs(&self, out: &mut String) -> Result<()> {
        out.push_str("\n## What it is made of\n\n| Price | USD a million | Page |\n|---|---|---|\n");
        for price in self.sheet.prices.values().chain([&self.sheet.scheduler]) {
            writeln!(out, "| {} | {} | {} |", price.name, price.usd_per_million, price.page)?;
        }
        out.push_str("\n| Flow | Function | Times | ms | How known |\n|---|---|---|---|---|\n");
        for flow in &self.sheet.flows {
            for run in &flow.runs {
                let Run { function, times, milliseconds, how, .. } = run;
                writeln!(out, "| {} | `{function}` | {times} | {milliseconds} | {how} |", flow.name)?;
            }
        }
        writeln!(
            out,
            "\n{} KB of log for an invocation: {}. {} calls of SQS for what a queue brings: {}.\n\n\
             Calls of one message, measured (DynamoDB in units, with its indexes):\n\n\
             | Flow | Function | SQS | Writing | Reading | Calls of DynamoDB | KMS |\n|---|---|---|---|---|---|---|",
            self.sheet.log.kilobytes_per_invocation,
            self.sheet.log.from,
            self.sheet.mapping.calls_per_parcel,
            self.sheet.mapping.from
        )?;
        for flow in &self.sheet.flows {
            for (function, calls) in &self.measured[&flow.key] {
                let of = |kind: &str| calls.get(kind).copied().unwrap_or_default();
                let (sqs, write, read) = (of("sqs"), of("writeUnits"), of("readUnits"));
                let (calls, kms) = (of("dynamodbCalls"), of("kms"));
                let function = function_name(function);
                if !flow.runs.iter().any(|run| run.function == function) {
                    continue;
                }
                writeln!(
                    out,
                    "| {} | `{function}` | {sqs} | {write} | {read} | {calls} | {kms} |",
                    flow.name
                )?;
            }
        }
        Ok(())
    }
}

const HOW: &str = "
Calls and units are counted on the local stack by `infra/reference/measure.py`: twenty short messages of one client, warm
functions, what schedules do taken off. The emulator works out units from the sizes of items and indexes as AWS documents it.
Times are measured for `webhook-receive` and assumed for the others; at these prices they hardly matter. Not in the tables:

- Longer messages: each further KB of an item costs a unit at each write of it.
- Many clients: an opened token is kept for five minutes by each copy. With one client KMS is called hardly ever; at worst once
  for each message out, which is 3 USD a million.
- Batches: Meta may put many elements into one webhook, and a poller takes ten messages at once. Both make it cheaper.
- A customer's file: a write and a read in S3 (5.40 USD a million together) and its storage.
";

/// How often a resource's monthly price is asked: of an alarm once for each metric that it looks at.
fn billed(resource: &Value) -> usize {
    let parts = resource["Properties"]["Metrics"].as_sequence().into_iter().flatten();
    parts.filter(|part| !part["MetricStat"].is_null()).count().max(1)
}

/// Runs a minute of all schedules of the template.
fn schedules(template: &Value) -> f64 {
    let resources = template["Resources"].as_mapping().into_iter().flatten();
    let events = resources.filter_map(|(_, resource)| resource["Properties"]["Events"].as_mapping());
    let rates = events.flat_map(|events| events.values()).filter_map(|event| {
        let rate = event["Properties"]["ScheduleExpression"].as_str()?.strip_prefix("rate(")?;
        let (number, unit) = rate.trim_end_matches(')').split_once(' ')?;
        let minutes = match unit {
            "minute" | "minutes" => 1.0,
            "hour" | "hours" => 60.0,
            _ => 24.0 * 60.0,
        };
        Some(1.0 / (number.parse::<f64>().ok()? * minutes))
    });
    rates.sum()
}

/// `WebhookReceive` as `webhook-receive`.
fn function_name(resource: &str) -> String {
    let mut name = String::new();
    for letter in resource.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
