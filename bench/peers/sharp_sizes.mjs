// JPEGs of several widths with sharp's own defaults, on two processes that take the next file when free:
// node sharp_sizes.mjs <folder with node_modules> <in> <out> <processes> <width>…
import { fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [dir, input, output, processes, ...widths] = process.argv.slice(2);

async function work() {
  const sharp = createRequire(join(resolve(dir), "package.json"))("sharp");
  sharp.concurrency(1);
  let before = process.cpuUsage();
  process.on("message", async (name) => {
    if (name === null) process.exit();
    const folder = join(output, name);
    mkdirSync(folder, { recursive: true });
    for (const width of widths.map(Number)) {
      await sharp(join(input, name))
        .resize({ width, withoutEnlargement: true })
        .jpeg()
        .toFile(join(folder, `w${width}.jpg`));
    }
    const used = process.cpuUsage(before);
    before = process.cpuUsage();
    process.send({ cpu_s: (used.user + used.system) / 1e6 });
  });
  process.send({ ready: true, sharp: sharp.versions.sharp, vips: sharp.versions.vips });
}

async function share() {
  const names = readdirSync(input).sort();
  const workers = Array.from({ length: Number(processes) }, () =>
    fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
      env: { ...process.env, BENCH_CHILD: "1" },
    }),
  );
  const hellos = await Promise.all(workers.map((worker) => once(worker, "message")));
  const start = process.hrtime.bigint();
  let cpuS = 0;
  await Promise.all(
    workers.map(async (worker) => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        worker.send(name);
        const [answer] = await once(worker, "message");
        cpuS += answer.cpu_s;
      }
      worker.send(null);
    }),
  );
  const wallS = Number(process.hrtime.bigint() - start) / 1e9;
  const { sharp, vips } = hellos[0][0];
  console.log(JSON.stringify({ wall_s: wallS, cpu_s: cpuS, version: `sharp ${sharp}, libvips ${vips}` }));
}

await (process.env.BENCH_CHILD ? work() : share());
