//! Where Redis's time goes: its own statistics of a phase, per job.

use postrider_tests::Report;

use crate::bed::{Bed, number};

/// Statistics of one phase; reset them when it begins ([`Bed::reset_statistics`]) and take them when it ends.
#[derive(Debug, Clone)]
pub struct Profile {
    pub commands: Vec<Command>,
    net_in: f64,
    net_out: f64,
    log: f64,
    /// Seconds of processor that the thread which runs commands has used since Redis started.
    processor: f64,
}

/// One command's part. A script's time contains that of the commands it calls, which are listed as well.
#[derive(Debug, Clone)]
pub struct Command {
    pub name: String,
    pub calls: f64,
    pub microseconds: f64,
}

impl Profile {
    pub async fn take(bed: &Bed) -> Self {
        let mut commands: Vec<Command> = bed.info("commandstats").await.iter().filter_map(parse).collect();
        commands.sort_by(|a, b| b.microseconds.total_cmp(&a.microseconds));
        let stats = bed.info("stats").await;
        let (persistence, cpu) = (bed.info("persistence").await, bed.info("cpu").await);
        let seconds = |name: &str| cpu.get(name).and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
        let figure = |name: &str| stats.get(name).and_then(|value| value.parse().ok()).unwrap_or(0.0);
        Self {
            commands,
            net_in: figure("total_net_input_bytes"),
            net_out: figure("total_net_output_bytes"),
            log: persistence.get("aof_current_size").and_then(|value| value.parse().ok()).unwrap_or(0.0),
            processor: seconds("used_cpu_user_main_thread") + seconds("used_cpu_sys_main_thread"),
        }
    }

    /// Time in scripts, and in the commands they call; the difference is Lua's own.
    fn scripts(&self) -> (f64, f64) {
        let of = |script: bool| {
            let part = self.commands.iter().filter(move |command| command.name.starts_with("eval") == script);
            part.map(|command| command.microseconds).sum::<f64>()
        };
        (of(true), of(false))
    }

    /// Microseconds of processor that Redis has used since an earlier look.
    pub fn processor_us(&self, before: &Self) -> f64 {
        (self.processor - before.processor) * 1e6
    }

    /// Adds the figures of a phase, each per job.
    pub fn report(&self, report: &mut Report, phase: &str, jobs: usize, before: &Self) {
        let jobs = number(jobs);
        let (scripts, commands) = self.scripts();
        report
            .decimal(&format!("{phase}_redis_us_per_job"), self.processor_us(before) / jobs)
            .decimal(&format!("{phase}_script_us_per_job"), scripts / jobs)
            .decimal(&format!("{phase}_commands_us_per_job"), commands / jobs)
            .decimal(&format!("{phase}_net_in_bytes_per_job"), self.net_in / jobs)
            .decimal(&format!("{phase}_net_out_bytes_per_job"), self.net_out / jobs)
            .decimal(&format!("{phase}_log_bytes_per_job"), (self.log - before.log) / jobs);
        for command in self.commands.iter().filter(|command| command.calls / jobs > 0.002) {
            let per_job = (command.calls / jobs * 1000.0).round() / 1000.0;
            let microseconds = (command.microseconds / jobs * 100.0).round() / 100.0;
            report.figure(&format!("{phase}_{}", command.name), format!("{per_job} calls, {microseconds} us"));
        }
    }
}

/// `cmdstat_hset: calls=5,usec=21,usec_per_call=4.20,…`
fn parse((name, value): (&String, &String)) -> Option<Command> {
    let name = name.strip_prefix("cmdstat_")?.to_owned();
    let field = |wanted: &str| {
        let mut fields = value.split(',').filter_map(|pair| pair.split_once('='));
        fields.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse().ok())
    };
    Some(Command { name, calls: field("calls")?, microseconds: field("usec")? })
}
