// SPDX-License-Identifier: Apache-2.0
import { exampleWorks } from '../lib/example.mjs';

exampleWorks('node');
