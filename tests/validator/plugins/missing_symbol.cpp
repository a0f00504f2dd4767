// Bad: a section of the right name, and another symbol in it.
extern "C" {
extern __attribute__((visibility("default"), section(".tare_plugin"))) const char another_symbol[256];
const char another_symbol[256] = "TAREPLUG";
}
