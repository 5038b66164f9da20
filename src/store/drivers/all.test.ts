import { blockStoreSuite } from "../conformance/block-store-suite.ts";
import { datasetStoreSuite } from "../conformance/dataset-store-suite.ts";
import { diskFixture, memoryFixture } from "../conformance/fixture.ts";

blockStoreSuite("memory", memoryFixture);
blockStoreSuite("disk", diskFixture);
datasetStoreSuite("memory", memoryFixture);
datasetStoreSuite("disk", diskFixture);
