/** What the device's thread and the main thread share. */

/** What the thread gets. */
export interface DeviceWorkerData {
  readonly fd: number;
  /** TAKEN and OPENS_SMALL by their places. */
  readonly shared: Int32Array<SharedArrayBuffer>;
}

/** Where requests are counted that the main thread took. */
export const TAKEN = 0;
/** Where stands 1 when the thread answers for small files that are opened and closed. */
export const OPENS_SMALL = 1;
