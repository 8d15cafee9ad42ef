// Times analyses of a task graph with graphology and its companions, for `cargo xtask bench graph-analyses`.
//
//   node graphology.mjs GRAPHOLOGY DAG BETWEENNESS GRAPH.json [bottlenecks]
//
// The first three arguments are the files of the installed packages. Prints what the example `analyses`
// of the task graph crate prints: milliseconds of each run by analysis, and a check of the results.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [graphologyFile, dagFile, betweennessFile, graphFile, withBottlenecks] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const { DirectedGraph } = require(graphologyFile);
const { hasCycle, topologicalSort, topologicalGenerations } = require(dagFile);
const betweenness = require(betweennessFile);

const text = readFileSync(graphFile, "utf8");
const failure = { trivial: 1 - 0.98, low: 1 - 0.9, medium: 1 - 0.8, high: 1 - 0.65, critical: 1 - 0.5 };
const reach = { isolated: 1, component: 1.5, phase: 2, project: 3 };
const riskOf = (task) => failure[task.risk ?? "medium"] * reach[task.impact ?? "isolated"];

function build() {
  const graph = new DirectedGraph();
  graph.import(JSON.parse(text));
  return graph;
}

// Longest path by dynamic programming over the topological order; the first of several equal ones.
function longestPath(graph, weight) {
  const order = topologicalSort(graph);
  const distance = new Map();
  const before = new Map();
  let end = null;
  for (const id of order) {
    const own = weight(graph.getNodeAttributes(id));
    let best = -Infinity;
    graph.forEachInNeighbor(id, (other) => {
      const candidate = distance.get(other) + own;
      if (candidate > best) {
        best = candidate;
        before.set(id, other);
      }
    });
    distance.set(id, best === -Infinity ? own : best);
    if (end === null || distance.get(id) > distance.get(end)) end = id;
  }
  const path = [];
  for (let at = end; at !== null && at !== undefined; at = before.get(at)) path.push(at);
  return path.reverse();
}

function measure(work) {
  const begun = performance.now();
  const runs = [];
  while (runs.length < 5 || (performance.now() - begun < 250 && runs.length < 200)) {
    const started = performance.now();
    work();
    runs.push(performance.now() - started);
  }
  return runs;
}

const graph = build();
const times = {
  build: measure(build),
  hasCycles: measure(() => hasCycle(graph)),
  topologicalOrder: measure(() => topologicalSort(graph)),
  parallelGroups: measure(() => topologicalGenerations(graph)),
  criticalPath: measure(() => longestPath(graph, () => 1)),
  riskPath: measure(() => longestPath(graph, riskOf)),
};
const riskPath = longestPath(graph, riskOf);
const check = {
  groups: topologicalGenerations(graph).length,
  order: topologicalSort(graph).length,
  criticalPath: longestPath(graph, () => 1),
  totalRisk: riskPath.reduce((sum, id) => sum + riskOf(graph.getNodeAttributes(id)), 0),
};
if (withBottlenecks) {
  const started = performance.now();
  const scores = betweenness(graph, { getEdgeWeight: null, normalized: true });
  times.bottlenecks = [performance.now() - started];
  const sorted = Object.entries(scores).map(([taskId, score]) => ({ taskId, score }));
  sorted.sort((a, b) => b.score - a.score);
  check.bottlenecks = sorted.slice(0, 10);
}
console.log(JSON.stringify({ times, check }));
