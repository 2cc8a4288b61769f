import { exampleWorks } from '../lib/example.mjs';

exampleWorks('java');
