// The Fleet page.

import { makeCommand, setCommand } from "./command.js";
import { drawWorkers } from "./fleet_crew.js";
import { fleetCharts } from "./fleet_charts.js";
import { drawFailed, drawJobs, retryAll } from "./fleet_jobs.js";
import { drawNotices, drawQueues, drawStages, drawTiles } from "./fleet_now.js";
import { live } from "./live.js";

const at = (id) => document.getElementById(id);

for (const step of document.querySelectorAll(".fp-step")) {
  const command = makeCommand();
  setCommand(command, step.dataset.command);
  step.append(command);
}

function draw(data) {
  const fresh = !data.totals.images && !data.queued && !data.held && !data.running && !data.workers.length;
  at("first-steps").hidden = !fresh;
  drawNotices(at("notices"), data);
  drawTiles(at("tiles"), data);
  drawFailed(data);
  drawWorkers(data);
  drawStages(data);
  drawQueues(at("queues"), data.queues);
  drawJobs("in-work", data.in_work);
  drawJobs("slowest", data.slowest);
}

const feed = live("fleet/data", draw);
at("retry-all").addEventListener("click", () => retryAll(feed));
fleetCharts();
