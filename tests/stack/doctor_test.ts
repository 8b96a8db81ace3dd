import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { setColorEnabled } from "@std/fmt/colors";
import { examine, type Finding } from "../../local/doctor/examine.ts";
import { writeReport } from "../../local/doctor/report.ts";
import { tokenContract } from "../../local/contracts/mod.ts";
import { startEvmNode } from "../../local/evm_node.ts";
import { startStack } from "../../local/stack.ts";
import { startTronNode, TRON_MULTICALL3 } from "../../local/tron_node.ts";

const id = (n: number) => `00000000-0000-0000-0000-${String(n).padStart(12, "0")}`;
const [bsc, polygon, tron] = [id(1), id(2), id(3)];
const [usdt, tronUsdt] = [id(12), id(15)];
const multicall3 = "0xca11bde05977b3631167028862be2a173976ca11";

Deno.test("the doctor", async (test) => {
  await using parts = new AsyncDisposableStack();
  const [stack, bscNode, polygonNode, tronState] = await Promise.all([
    startStack(),
    startEvmNode({ chainId: 56 }),
    startEvmNode({ chainId: 137 }),
    startEvmNode({ chainId: 728126428 }),
  ]);
  for (const part of [stack, bscNode, polygonNode, tronState]) parts.use(part);
  const tronNode = parts.use(await startTronNode({ evm: tronState }));
  const token = await tokenContract();
  const bscToken = await bscNode.deploy(token, ["USDT", "USDT", 18]);
  const tronToken = tronNode.toTronAddress(await tronState.deploy(token, ["USDT", "USDT", 6]));
  const nodes: Record<string, string> = {
    [bsc]: bscNode.url,
    [polygon]: polygonNode.url,
    [tron]: tronNode.url,
  };

  const run = async (script: string) => {
    for (const statement of script.split(/;\s*(?:\n|$)/)) {
      if (statement.trim() && !statement.trim().startsWith("--")) await stack.sql(statement);
    }
  };
  await run(`
    insert into chains (id, name, rpc_url) values
      ('${bsc}', 'bsc', '${bscNode.url}'), ('${polygon}', 'polygon', '${polygonNode.url}'), ('${tron}', 'tron', '${tronNode.url}');
    insert into balance_sync.chain_settings (chain_id, evm_chain_id) values ('${bsc}', 56), ('${tron}', 728126428);
    insert into assets (id) values ('${id(4)}');
    insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals, is_native) values
      ('${id(11)}', '${bsc}', '${id(4)}', null, 18, true), ('${usdt}', '${bsc}', '${
    id(4)
  }', '${bscToken}', 18, false),
      ('${id(13)}', '${polygon}', '${id(4)}', null, 18, true), ('${id(14)}', '${tron}', '${
    id(4)
  }', null, 6, true),
      ('${tronUsdt}', '${tron}', '${id(4)}', '${tronToken}', 6, false);
    insert into user_wallet_addresses (wallet_id, chain_id, address) values
      ('${id(21)}', '${bsc}', '0x${"a1".repeat(20)}'), ('${id(21)}', '${polygon}', '0x${
    "a1".repeat(20)
  }'),
      ('${id(21)}', '${tron}', '${tronNode.toTronAddress("0x" + "a1".repeat(20))}');
    insert into wallet_balances (wallet_id, asset_on_chain_id) select '${
    id(21)
  }', id from asset_on_chain;
    select balance_sync.schedule('59 seconds');
  `);

  const project = { url: stack.url, secretKey: stack.secretKey };
  const find = async (secret = stack.syncSecret) => (await examine(project, secret)).findings;
  const names = (findings: Finding[]) => findings.map(({ finding }) => finding);
  const step = (name: string, fn: () => Promise<void>) =>
    test.step({ name, fn, sanitizeOps: false, sanitizeResources: false });

  /** Fills the gap of a remedy: the URL of the chain the statement is about, or what is given. */
  const mend = (findings: Finding[], fill = "") =>
    Promise.all(findings.map(({ remedy }) => {
      const about = Object.keys(nodes).find((chain) => remedy.includes(`where id = '${chain}'`));
      return run(remedy.replaceAll(/<[^<>]+>/g, fill || nodes[about!]!));
    }));

  await step("has nothing to say of a healthy project", async () => {
    const report = await examine(project, stack.syncSecret);
    assertEquals(report.findings, []);
    assertEquals(report.healthy, true);
    assertEquals(report.examined, { chains: 3, assets: 5 });
  });

  const mistakes: Record<string, Mistake> = {
    "a chain whose node does not answer": {
      provoke: `update chains set rpc_url = 'http://127.0.0.1:9/key-of-mine' where id = '${bsc}'`,
      found: ["chain_unreachable"],
      says: /expected rpc_url of chain bsc to answer, found rpc_unreachable: rpc_url could not be/,
    },
    "a TRON node that does not answer": {
      provoke: `update chains set rpc_url = 'http://127.0.0.1:9' where id = '${tron}'`,
      found: ["chain_unreachable"],
    },
    "a fallback that does not answer": {
      provoke:
        `update balance_sync.chain_settings set fallback_rpc_urls = array['${bscNode.url}', 'http://127.0.0.1:9'] where chain_id = '${bsc}'`,
      found: ["chain_unreachable"],
      severity: "warning",
      says: /expected fallback_rpc_urls\[2\] of chain bsc to answer/,
    },
    "a node of another chain": {
      provoke: `update chains set rpc_url = '${polygonNode.url}' where id = '${bsc}'`,
      found: ["wrong_chain"],
      says: /to be a node of chain 56, found wrong_chain: rpc_url is a node of chain 137/,
    },
    "a fallback that is no URL": {
      provoke:
        `update balance_sync.chain_settings set fallback_rpc_urls = array['ftp://key-of-mine'] where chain_id = '${bsc}'`,
      found: ["invalid_chain_settings"],
      says: /found invalid_chain_settings: fallback_rpc_urls\[1\] must be an http or https URL/,
    },
    "two chains that are one": {
      provoke: `update chains set rpc_url = '${bscNode.url}' where id = '${polygon}'`,
      found: ["same_chain_twice"],
      says: /found bsc and polygon to be chain 56 both/,
      severity: "warning",
    },
    "settings that no adapter can use": {
      provoke:
        `update balance_sync.chain_settings set block_tag = 'newest' where chain_id = '${bsc}'`,
      found: ["invalid_chain_settings"],
      fill: "block_tag",
    },
    "no Multicall3 at the address that was chosen": {
      provoke: `update balance_sync.chain_settings set multicall_address = '0x${
        "cc".repeat(20)
      }' where chain_id = '${bsc}'`,
      found: ["multicall_missing"],
      severity: "warning",
    },
    "another contract at the address that was chosen": {
      provoke:
        `update balance_sync.chain_settings set multicall_address = '${bscToken}' where chain_id = '${bsc}'`,
      found: ["multicall_foreign"],
    },
    "no Multicall3 on TRON where one was chosen": {
      provoke:
        `update balance_sync.chain_settings set multicall_address = '${tronToken}' where chain_id = '${tron}'`,
      found: ["multicall_foreign"],
    },
    "decimals unlike the contract's": {
      provoke: `update asset_on_chain set decimals = 6 where id = '${usdt}'`,
      found: ["decimals_differ"],
      says: /to be decimals\(\) of 0x\w+ on chain bsc, 18, found 6/,
    },
    "decimals unlike the contract's on TRON": {
      provoke: `update asset_on_chain set decimals = 18 where id = '${tronUsdt}'`,
      found: ["decimals_differ"],
    },
    "a token where no code is": {
      provoke: `update asset_on_chain set contract_address = '0x${
        "cc".repeat(20)
      }' where id = '${usdt}'`,
      found: ["token_without_code"],
      fill: bscToken,
    },
    "a token where no code is on TRON": {
      provoke: `update asset_on_chain set contract_address = '${
        tronNode.toTronAddress("0x" + "cc".repeat(20))
      }' where id = '${tronUsdt}'`,
      found: ["token_without_code"],
      fill: tronToken,
    },
    "a contract address with a wrong checksum": {
      provoke: `update asset_on_chain set contract_address = '${
        wrongChecksum(bscToken)
      }' where id = '${usdt}'`,
      found: ["invalid_contract_address"],
      fill: bscToken,
    },
    "one TRON token in two spellings": {
      provoke: `
        insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals)
        select '${id(19)}', chain_id, asset_id, '0x' || '${await hexOf(
        tronToken,
      )}', decimals from asset_on_chain where id = '${tronUsdt}'`,
      found: ["counted_twice"],
    },
    "what the database sees of itself": {
      provoke:
        "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'balance-sync'",
      found: ["job_paused"],
    },
  };
  for (const [name, mistake] of Object.entries(mistakes)) {
    await step(`finds ${name}, and nothing more once it is mended`, async () => {
      await run(mistake.provoke);
      const findings = await find();
      assertEquals(names(findings), mistake.found, JSON.stringify(findings, null, 1));
      if (mistake.says) assertMatch(findings[0]!.detail, mistake.says);
      if (mistake.severity) assertEquals(findings[0]!.severity, mistake.severity);
      assertEquals(JSON.stringify(findings).includes("key-of-mine"), false, "a URL is a secret");
      await mend(findings, mistake.fill);
      assertEquals(await find(), []);
      await run(`update balance_sync.chain_settings set fallback_rpc_urls = null`);
    });
  }

  await step("finds Multicall3 missing or foreign where nobody chose one", async () => {
    const code = await bscNode.rpc<string>("eth_getCode", [multicall3, "latest"]);
    await bscNode.setCode(multicall3, "0x");
    assertEquals(names(await find()), ["multicall_missing"]);
    // answers like one, and is another build
    await bscNode.setCode(multicall3, code + "00");
    const findings = await find();
    assertEquals(names(findings), ["multicall_foreign"]);
    const another = "0x" + "dd".repeat(20);
    await bscNode.setCode(another, code);
    await mend(findings, another);
    assertEquals(await find(), [], "an operator's choice is trusted as far as it behaves");
    await run(`update balance_sync.chain_settings set multicall_address = null`);
    await bscNode.setCode(multicall3, code);

    await run(
      `update balance_sync.chain_settings set multicall_address = '${
        tronNode.toTronAddress(TRON_MULTICALL3)
      }' where chain_id = '${tron}'`,
    );
    assertEquals(await find(), [], "TRON's own");
  });

  await step("finds a function that does not know the secret", async () => {
    const findings = await find("another secret");
    assertEquals(names(findings), ["function_refuses_secret"]);
    assertStringIncludes(findings[0]!.remedy, "supabase secrets set BALANCE_SYNC_SECRET=");
  });

  await step("finds a function that is missing, silent, closed or misconfigured", async () => {
    const answers: [Response | undefined, string[]][] = [
      [new Response("not found", { status: 404 }), ["function_unreachable"]],
      [new Response("bad gateway", { status: 502 }), ["function_unreachable"]],
      [new Response("{}", { status: 401 }), ["function_refuses_secret"]],
      [
        Response.json({ reasons: ["Cannot read SUPABASE_URL: expected …", "job paused"] }, {
          status: 503,
        }),
        ["function_misconfigured"],
      ],
      [undefined, ["function_unreachable"]],
    ];
    for (const [answer, expected] of answers) {
      await using front = frontDoor(stack.url, answer);
      const report = await examine({ ...project, url: front.url });
      assertEquals(names(report.findings), expected);
    }
  });

  await step("ends with 0, 1 or 2, and speaks to people or to machines", async () => {
    const environment = { SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey };
    const healthy = await doctor([], environment);
    assertEquals(healthy.code, 0, healthy.stderr);
    assertStringIncludes(
      healthy.stdout,
      "✓ Nothing keeps rows from being synced (3 chains, 5 assets",
    );

    await run(`update chains set rpc_url = '${polygonNode.url}' where id = '${bsc}'`);
    const people = await doctor([], { ...environment, BALANCE_SYNC_SECRET: "another secret" });
    assertEquals(people.code, 1);
    assertStringIncludes(people.stdout, "✗ wrong_chain\n  expected rpc_url of chain bsc");
    assertStringIncludes(
      people.stdout,
      "2 errors in 3 chains, 5 assets, the function and the database",
    );
    // deno-lint-ignore no-control-regex
    assertEquals(/\x1b/.test(people.stdout), false, "no terminal, no colour");
    const machines = await doctor(["--json"], environment);
    assertEquals(machines.code, 1);
    const report = JSON.parse(machines.stdout);
    assertEquals([report.healthy, report.project], [false, stack.url]);
    assertEquals(names(report.findings), ["wrong_chain"]);
    await mend(report.findings);
    assertEquals((await doctor(["--json"], environment)).code, 0);

    const notRun: [string[], Record<string, string>, RegExp][] = [
      [[], {}, /Cannot read SUPABASE_URL/],
      [["--everything"], environment, /deno task doctor \[options\]/],
      [[], { ...environment, SUPABASE_URL: "http://127.0.0.1:9" }, /Cannot examine .* found none/],
      [[], { ...environment, SUPABASE_SECRET_KEY: "sb_secret_another" }, /Cannot examine/],
    ];
    for (const [args, env, says] of notRun) {
      const result = await doctor(args, env);
      assertEquals([result.code, result.stdout], [2, ""], result.stderr);
      assertMatch(result.stderr, says);
    }
  });
});

Deno.test("a report has the worst first and each kind together, in colour for a terminal", () => {
  const finding = (severity: Finding["severity"], n: number, affected = 1): Finding => ({
    finding: `some_${severity}`,
    severity,
    detail: `expected this, found that ${n}`,
    affected,
    remedy: `select ${n};`,
  });
  const report = {
    project: "http://127.0.0.1:54321",
    healthy: false,
    examined: { chains: 1, assets: 2 },
    findings: [
      { ...finding("error", 0, 12), remedy: "select 0;\nselect 1;" },
      ...[1, 2, 3, 4, 5, 6, 7].map((n) => finding("warning", n)),
      finding("info", 8),
    ],
  };
  setColorEnabled(false);
  assertEquals(
    writeReport(report),
    `Balance Sync doctor  http://127.0.0.1:54321

✗ some_error × 12
  expected this, found that 0
  → select 0;
    select 1;

! some_warning × 7
${[1, 2, 3, 4, 5].map((n) => `  expected this, found that ${n}\n  → select ${n};`).join("\n")}
  and 2 more: --json has all

i some_info
  expected this, found that 8
  → select 8;

1 error, 7 warnings, 1 to know in 1 chain, 2 assets, the function and the database
SQL is for the owner of the database: the dashboard's SQL editor, or psql`,
  );
  setColorEnabled(true);
  // NO_COLOR is heeded whatever else is asked for.
  assertStringIncludes(writeReport(report), Deno.noColor ? "\n✗ " : "\x1b[31m✗\x1b[39m");
  setColorEnabled(false);
});

interface Mistake {
  provoke: string;
  found: string[];
  says?: RegExp;
  severity?: Finding["severity"];
  fill?: string;
}

function wrongChecksum(address: string): string {
  const digits = address.slice(2);
  const last = digits.search(/[a-f](?=[^a-f]*$)/);
  return "0x" + digits.slice(0, last).toLowerCase() + digits.slice(last).toUpperCase();
}

async function hexOf(tronAddress: string): Promise<string> {
  const { tron } = await import("../../functions/balance-sync/chains/tron.ts");
  return tron.parseAddress(tronAddress, "contract").slice(2);
}

/** The project's Data API, with another answer, or none, where the function is. */
function frontDoor(url: string, answer: Response | undefined) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname.startsWith("/functions/")) {
        if (answer) return answer.clone();
        return new Response(new ReadableStream({ pull: (controller) => controller.error() }));
      }
      const { method, headers, body } = request;
      return await fetch(url + pathname + search, { method, headers, body });
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function doctor(args: string[], env: Record<string, string>) {
  const inherited = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR", "NPM_CONFIG_REGISTRY", "NO_PROXY"]
      .flatMap((name) => Deno.env.get(name) ? [[name, Deno.env.get(name)!]] : []),
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("../../local/doctor.ts", import.meta.url).pathname, ...args],
    clearEnv: true,
    env: { ...inherited, ...env },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
