// Encodes PNGs with sharp's own defaults: node sharp_encode.mjs <folder with node_modules> <in> <out> <format>
import { createRequire } from "node:module";
import { readdirSync, writeFileSync } from "node:fs";
import { join, parse, resolve } from "node:path";

const [dir, input, output, format] = process.argv.slice(2);
const sharp = createRequire(join(resolve(dir), "package.json"))("sharp");
sharp.concurrency(1);
sharp.cache(false);

let cpuS = 0;
for (const file of readdirSync(input).filter((name) => name.endsWith(".png")).sort()) {
  const before = process.cpuUsage();
  const data = await sharp(join(input, file)).toFormat(format).toBuffer();
  const used = process.cpuUsage(before);
  cpuS += (used.user + used.system) / 1e6;
  writeFileSync(join(output, `${parse(file).name}.${format}`), data);
}
console.log(JSON.stringify({ sharp: sharp.versions.sharp, vips: sharp.versions.vips, cpu_s: cpuS }));
