//! Latency, rate and client CPU of the published client, of ours, and of the bare websocket client of the kind that theirs is built on.
//!
//! The guardians are other processes, this program again, so that the CPU is the client's alone. Everything is repeated in turns, so that
//! a machine that is busy for a while is so for all; the medians of the rounds are shown. A query runs on a worker of the runtime, as
//! in a server. Before each measurement there is a pause, so that what one client was still owed is not answered while another is measured.
//!
//! `ours-all` is our client with a question that all four have to answer: what a query costs that has to wait for the fourth, without a fault. A liar
//! or an error makes every query such a one.
//!
//! Then discoveries on new connections: their time, and the time of the third answer in the same discovery.
//!
//! `--rounds N` (5), `--faults A,B`, `--clients A,B` and `--dead A,B` (for discoveries) choose.

use fedimint_api_client::api::{DynGlobalApi, FederationApiExt};
use fedimint_core::module::ApiRequestErased;
use futures::future::join_all;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use quorate_peers_fedimint::discovery;
use quorate_peers_fedimint::{ours, theirs};
use quorate_query::query::Query;
use quorate_query::strategy::ThresholdConsensus;
use quorate_query::{Call, Federation};
use quorate_testkit::guardians::{Fault, Guardians};
use std::collections::BTreeMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const FAULTS: &str = "honest,liar,flipflop,slow=500,hang,error=500,garbage,drop,refuse,blackhole";
const CLIENTS: &str = "theirs,ours,ours-all,jsonrpsee";
const DEAD: &str = "honest,hang,drop,refuse,blackhole";
/// Longer than the slow guardian takes.
const PAUSE: Duration = Duration::from_millis(700);
const DISCOVERIES: usize = 100;
const SEQUENTIAL: usize = 300;
const AT_ONCE: usize = 20;
const CONCURRENT: usize = 2_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, fault] = &arguments[..]
        && mode == "guardians"
    {
        return serve(fault.parse().expect("a fault")).await;
    }
    let option = |name: &str, default: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(default, String::as_str).to_owned()
    };
    let rounds: usize = option("--rounds", "5").parse().expect("a number");
    let (faults, clients) = (option("--faults", FAULTS), option("--clients", CLIENTS));
    let mut federations = Vec::new();
    for fault in faults.split(',') {
        federations.push(Scripted::start(fault).await);
    }
    let mut figures: BTreeMap<(usize, usize), Vec<Figures>> = BTreeMap::new();
    for _ in 0..rounds {
        for (fault, federation) in federations.iter().enumerate() {
            for (client, name) in clients.split(',').enumerate() {
                if let Some(client_at_it) = federation.client(name) {
                    figures.entry((fault, client)).or_default().push(measure(client_at_it).await);
                }
            }
        }
    }
    let figures: BTreeMap<_, _> = figures.into_iter().map(|(key, rounds)| (key, middle(rounds))).collect();
    show(&figures, &faults, &clients, rounds);
    println!("\nthe first discovery on new connections; medians of {DISCOVERIES}");
    for dead in option("--dead", DEAD).split(',') {
        let (_child, urls) = guardians(dead).await;
        let discovery::Timed { whole, third } = discovery::timed(urls, DISCOVERIES).await;
        println!(
            "guardian 0 {dead:<10} {:>8.1} µs, the third answer came after {:>8.1} µs: {:.2}",
            whole * 1e6,
            third * 1e6,
            whole / third
        );
    }
}

/// Two tables: the figures, and those with a fault as multiples of those without.
fn show(figures: &BTreeMap<(usize, usize), Figures>, faults: &str, clients: &str, rounds: usize) {
    println!("session_count of 4 guardians of whom 3 must agree; medians of {rounds} rounds");
    println!("CPU is the client's, per query; 20 at once is {CONCURRENT} queries, 20 of them under way");
    let columns = ["median µs", "p95 µs", "CPU µs", "20: per s", "20: CPU µs"];
    print!("{:<10} {:<12}", "guardian 0", "client");
    println!("{}", columns.map(|column| format!("{column:>11}")).concat());
    let name = |list: &str, index: usize| list.split(',').nth(index).unwrap_or_default().to_owned();
    let index = |wanted: &str| clients.split(',').position(|client| client == wanted);
    for ((fault, client), one) in figures {
        line(&name(faults, *fault), &name(clients, *client), one.all().map(|figure| format!("{figure:.1}")));
        let Some((theirs, true)) = index("theirs").map(|theirs| (theirs, index("ours") == Some(*client)))
        else {
            continue;
        };
        if let Some(theirs) = figures.get(&(*fault, theirs)) {
            line(&name(faults, *fault), "ours/theirs", ratio(one, theirs));
        }
    }
    println!("\nwith a fault, as multiples of the same client without one");
    if let Some([without, all]) = index("ours")
        .zip(index("ours-all"))
        .and_then(|(ours, all)| Some([figures.get(&(0, ours))?, figures.get(&(0, all))?]))
    {
        line("none", "ours-all", ratio(all, without));
    }
    for ((fault, client), one) in figures.iter().filter(|((fault, _), _)| *fault > 0) {
        if let Some(without) = figures.get(&(0, *client)) {
            line(&name(faults, *fault), &name(clients, *client), ratio(one, without));
        }
    }
}

fn line(fault: &str, client: &str, figures: [String; 5]) {
    println!("{fault:<10} {client:<12}{}", figures.map(|figure| format!("{figure:>11}")).concat());
}

fn ratio(one: &Figures, other: &Figures) -> [String; 5] {
    let (one, other) = (one.all(), other.all());
    std::array::from_fn(|index| format!("{:.2}", one[index] / other[index]))
}

/// Guardians of which the first has a fault, and the clients at them.
struct Scripted {
    theirs: DynGlobalApi,
    ours: Federation,
    bare: Option<Arc<Vec<WsClient>>>,
    _guardians: Child,
}

/// One of them.
#[derive(Clone)]
enum Client {
    Theirs(DynGlobalApi),
    Ours(Federation),
    OursAll(Federation),
    Bare(Arc<Vec<WsClient>>),
}

impl Scripted {
    async fn start(fault: &str) -> Self {
        let (child, urls) = guardians(fault).await;
        // The bare client knows no faults.
        let bare = match fault {
            "honest" => Some(Arc::new(bare(&urls).await)),
            _ => None,
        };
        Self { theirs: theirs(&urls).await, ours: ours(&urls), bare, _guardians: child }
    }

    fn client(&self, name: &str) -> Option<Client> {
        match name {
            "theirs" => Some(Client::Theirs(self.theirs.clone())),
            "ours" => Some(Client::Ours(self.ours.clone())),
            // The same connections; with a fault there is no such answer.
            "ours-all" => self.bare.as_ref().map(|_| Client::OursAll(self.ours.clone())),
            "jsonrpsee" => self.bare.clone().map(Client::Bare),
            other => panic!("no client {other}"),
        }
    }
}

impl Client {
    async fn ask(&self) {
        let value = match self {
            Self::Theirs(client) => client
                .request_current_consensus("session_count".to_owned(), ApiRequestErased::default())
                .await
                .expect("theirs"),
            Self::Ours(client) => client.session_count().await.expect("ours"),
            Self::OursAll(client) => {
                let all = ThresholdConsensus::full_participation(client.num_peers());
                client.run(Query::<_, u64>::new(Call::bare("session_count"), all)).await.expect("all honest")
            }
            Self::Bare(clients) => ask_bare(clients).await,
        };
        assert_eq!(value, 42u64);
    }
}

/// Guardians until standard input ends.
async fn serve(fault: Fault) {
    let guardians = Guardians::start(4).await.expect("loopback ports");
    guardians.guardian(0).set_fault(fault).await;
    println!("{}", guardians.urls().join(","));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(_)) = lines.next_line().await {}
}

async fn guardians(fault: &str) -> (Child, Vec<String>) {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(["guardians", fault])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program again");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let urls = lines.next_line().await.expect("readable").expect("a line");
    (child, urls.split(',').map(str::to_owned).collect())
}

/// What one client did in one round.
#[derive(Clone, Copy)]
struct Figures {
    median: f64,
    p95: f64,
    cpu: f64,
    rate: f64,
    busy_cpu: f64,
}

impl Figures {
    const fn all(&self) -> [f64; 5] {
        [self.median, self.p95, self.cpu, self.rate, self.busy_cpu]
    }
}

/// Four connections of the bare client, and nothing that compares.
async fn bare(urls: &[String]) -> Vec<WsClient> {
    let connecting = urls.iter().map(|url| WsClientBuilder::default().build(url));
    join_all(connecting).await.into_iter().map(|client| client.expect("loopback")).collect()
}

/// The least that a client on it would do: ask all four, take the answers.
async fn ask_bare(clients: &[WsClient]) -> u64 {
    let asking = clients.iter().map(|client| {
        let mut params = ArrayParams::new();
        params.insert(serde_json::json!({ "auth": null, "params": null })).expect("JSON");
        client.request::<u64, _>("session_count", params)
    });
    let answers = join_all(asking).await;
    answers.into_iter().map(|answer| answer.expect("bare")).max().expect("four")
}

async fn measure(client: Client) -> Figures {
    tokio::time::sleep(PAUSE).await;
    on_a_worker(client, |client| async move {
        for _ in 0..20 {
            client.ask().await;
        }
        let mut times = Vec::with_capacity(SEQUENTIAL);
        let start = cpu_time();
        for _ in 0..SEQUENTIAL {
            let began = Instant::now();
            client.ask().await;
            times.push(began.elapsed());
        }
        let cpu = per_query(start, SEQUENTIAL);
        times.sort_unstable();
        let micros = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
        let (median, p95) = (micros(50), micros(95));

        let (start, began) = (cpu_time(), Instant::now());
        let lanes = (0..AT_ONCE).map(|_| {
            on_a_worker(client.clone(), |client| async move {
                for _ in 0..CONCURRENT / AT_ONCE {
                    client.ask().await;
                }
            })
        });
        join_all(lanes).await;
        let rate = CONCURRENT as f64 / began.elapsed().as_secs_f64();
        Figures { median, p95, cpu, rate, busy_cpu: per_query(start, CONCURRENT) }
    })
    .await
}

async fn on_a_worker<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    client: Client,
    job: impl FnOnce(Client) -> F,
) -> T {
    tokio::spawn(job(client)).await.expect("no panic")
}

fn per_query(start: Duration, queries: usize) -> f64 {
    (cpu_time() - start).as_secs_f64() * 1e6 / queries as f64
}

fn middle(mut rounds: Vec<Figures>) -> Figures {
    let mut of = |value: fn(&Figures) -> f64| {
        rounds.sort_by(|a, b| value(a).total_cmp(&value(b)));
        value(&rounds[rounds.len() / 2])
    };
    Figures {
        median: of(|f| f.median),
        p95: of(|f| f.p95),
        cpu: of(|f| f.cpu),
        rate: of(|f| f.rate),
        busy_cpu: of(|f| f.busy_cpu),
    }
}

/// The CPU time of all threads of this process, to the nanosecond.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanos = tasks.filter_map(|task| {
        let schedstat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
