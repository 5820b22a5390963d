// node-pop3 (npm) as a client of the benchmark; see bench/README.md.
"use strict";
const fs = require("fs");

const verb = process.argv[2];
const options = {};
for (const word of process.argv.slice(3)) {
  const at = word.indexOf("=");
  options[word.slice(0, at)] = word.slice(at + 1);
}

function cannot(why) {
  console.error(why);
  process.exit(77);
}

let loaded;
try {
  loaded = require(options.modules + "/node-pop3");
} catch (error) {
  cannot("node-pop3 is not installed");
}
const Pop3 = loaded.default || loaded;
const out = options.out ? fs.openSync(options.out, "w") : null;

function connect() {
  const given = {
    host: "127.0.0.1", port: Number(options.port), user: "u", password: "p",
  };
  if (options.ca) {
    given.tls = true;
    given.tlsOptions = { ca: fs.readFileSync(options.ca) };
  }
  return new Pop3(given);
}

const deliver = {
  async callback(conn, number) {
    const [, stream] = await conn.command("RETR", number);
    let octets = 0;
    for await (const chunk of stream) {
      octets += chunk.length;
      if (out) fs.writeSync(out, chunk);
    }
    return octets;
  },
  async string(conn, number) {
    const text = await conn.RETR(number);
    if (out) fs.writeSync(out, text);
    return 0; // characters, not octets
  },
};

const verbs = {
  async start() { return {}; },
  async fetch() {
    if (options.quit || !deliver[options.deliver]) cannot("no such delivery");
    const conn = connect();
    let octets = 0;
    if (options.deliver === "callback") await conn.connect();
    if (options.deliver === "callback") await conn.command("USER", "u");
    if (options.deliver === "callback") await conn.command("PASS", "p");
    for (let n = 1; n <= Number(options.messages || 1); n++) {
      octets += await deliver[options.deliver](conn, n);
    }
    await conn.QUIT();
    return octets > 0 ? { octets } : {};
  },
  async listing() {
    const conn = connect();
    const sizes = await conn.LIST();
    const uids = await conn.UIDL();
    let items = 0, octets = 0;
    if (options.as === "iterate") {
      for (const [, size] of sizes) { items++; octets += Number(size); }
    }
    await conn.QUIT();
    return items > 0 ? { items, octets } : { count: uids.length };
  },
  async session() {
    if (options.resume) cannot("node-pop3 has no way to give a session");
    for (let n = 0; n < Number(options.sessions); n++) {
      const conn = connect();
      await conn.STAT();
      await conn.QUIT();
    }
    return {};
  },
  async boxes() {
    const begin = process.hrtime.bigint(), times = [];
    const all = Array.from({ length: Number(options.boxes) }, async () => {
      const conn = connect();
      for (let n = 1; n <= Number(options.messages); n++) await conn.RETR(n);
      await conn.QUIT();
      times.push(Number(process.hrtime.bigint() - begin) / 1e6);
    });
    await Promise.all(all);
    times.sort((a, b) => a - b);
    return {
      median_ms: times[Math.floor(times.length / 2)],
      slowest_ms: times[times.length - 1],
    };
  },
};

if (!verbs[verb]) cannot("no " + verb);
verbs[verb]().then((told) => console.log(JSON.stringify(told)));
