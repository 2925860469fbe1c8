// Encodes raw pixels with sharp: node sharp_encode.mjs <folder with node_modules> <in> <out> <format> <options as JSON>
// Files of <in> are named NUMBER-WIDTHxHEIGHTxCHANNELS.raw.
import { createRequire } from "node:module";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, parse, resolve } from "node:path";

const [dir, input, output, format, options] = process.argv.slice(2);
const sharp = createRequire(join(resolve(dir), "package.json"))("sharp");
sharp.concurrency(1);
sharp.cache(false);

const cpuS = [];
for (const file of readdirSync(input).sort()) {
  const [number, size] = parse(file).name.split("-");
  const [width, height, channels] = size.split("x").map(Number);
  const pixels = readFileSync(join(input, file));
  const before = process.cpuUsage();
  const data = await sharp(pixels, { raw: { width, height, channels } }).toFormat(format, JSON.parse(options)).toBuffer();
  const used = process.cpuUsage(before);
  cpuS.push((used.user + used.system) / 1e6);
  writeFileSync(join(output, number), data);
}
console.log(JSON.stringify({ sharp: sharp.versions.sharp, cpu_s: cpuS }));
