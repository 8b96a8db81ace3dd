/** What `public.balance_sync_status()` answers; ages in seconds, null where there is nothing to age. */
export interface Status {
  due: number;
  leased: number;
  oldest_due_seconds: number | null;
  parked: number;
  unparking: number;
  /** Counts of rows end here, so that asking costs the same at any table size. */
  counts_stop_at: number;
  live_runs: number;
  last_heartbeat_seconds: number | null;
  chains: ChainStatus[];
  /** Sums over the runs that the ledger still keeps. */
  totals: Record<string, number>;
  warnings: string[];
}

export interface ChainStatus {
  chain_id: string;
  name: string;
  is_active: boolean;
  due: number;
  leased: number;
  oldest_due_seconds: number | null;
  /** Null while the chain answers. */
  out_since: string | null;
  error: string | null;
  /** Since when it has answered nothing but older blocks than those recorded. */
  stale_since: string | null;
  /** Decimal text. */
  last_block: string | null;
}
