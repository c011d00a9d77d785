#include "lib/train/settings.h"

#include "lib/config/config.h"

namespace trainer::train {
namespace {

/// A group with one key, for keys that select a component.
struct Name {
  std::string& value;
  std::string_view help;
  void fields(config::Fields& f) { f("NAME", value, help); }
};

template <class T>
bool declared(std::string_view group) {
  config::declare(group, T{});
  return true;
}

const bool all = declared<RunSettings>("") && declared<ModelSettings>("MODEL") &&
                 declared<TrainSettings>("TRAIN") && declared<TestSettings>("TEST") &&
                 declared<AugSettings>("AUG") && declared<AmpSettings>("") && declared<ConvSettings>("CONV");

}  // namespace

void RunSettings::fields(config::Fields& f) {
  f.user_default("OUTPUT", output,
                 "where runs are kept; empty: output. The run directory is OUTPUT/MODEL.NAME/TAG");
  f("TAG", tag, "name of this run");
  f("SEED", seed, "of every random number", {.min = 0});
  f.user_default("PRINT_FREQ", print_freq,
                 "optimizer steps between two lines of the log and of metrics.jsonl",
                 {.min = 1, .unit = "steps"});
  f("DEVICE", device, "auto, cpu, cuda or cuda:N");
  f.auto_or("THREADS", threads, "compute threads; auto: the processors this process may use",
            {.min = 1, .max = 4096});
  f("DETERMINISTIC", deterministic,
    "results independent of the number of threads, for some speed; on CUDA the same bits every time");
  f("LOCAL_RANK", local_rank, "index of this process on its machine; the environment's LOCAL_RANK wins",
    {.min = 0});
  f("SAVE_FREQ", save_freq, "epochs between checkpoints; 0: none", {.min = 0, .unit = "epochs"});
  f("SAVE_STEPS", save_steps, "also save every so many optimizer steps; 0: by SAVE_FREQ",
    {.min = 0, .unit = "steps"});
  f("SAVE_KEEP", save_keep, "checkpoints that are kept, the newest ones; the best one is kept beside them",
    {.min = 1});
  f("PLUGINS", plugins, "shared libraries with components of one's own; not built yet: only [] is accepted");
}

void ModelSettings::fields(config::Fields& f) {
  f("TYPE", type,
    "auto: NAME is a registered model; swin, swinv2, ...: built from MODEL.SWIN, ..., and NAME is a label");
  f("NAME", name, "timm's name of the model, or the run's label");
  f("PRETRAINED", pretrained, "weights to start from (.safetensors)");
  f("RESUME", resume, "a checkpoint or run directory to continue from; empty: see TRAIN.AUTO_RESUME");
  f("WEIGHTS_DIR", weights_dir, "a folder of weights by model name, used when PRETRAINED is empty");
  f.auto_or("IN_CHANS", in_chans, "input channels; auto: what the data has", {.min = 1});
}

void TrainSettings::fields(config::Fields& f) {
  f("EPOCHS", epochs, "passes over the training data", {.min = 0, .unit = "epochs"});
  f("MAX_STEPS", max_steps, "stop after so many optimizer steps; 0: by EPOCHS", {.min = 0, .unit = "steps"});
  f("WARMUP_EPOCHS", warmup_epochs, "linear warm-up from WARMUP_LR to BASE_LR", {.min = 0, .unit = "epochs"});
  f("ACCUMULATION_STEPS", accumulation_steps, "micro-batches per optimizer step", {.min = 1});
  f("BASE_LR", base_lr, "learning rate at LR_REFERENCE_BATCH (see LR_SCALING)", {.min = 0});
  f("WARMUP_LR", warmup_lr, "learning rate at the start of the warm-up", {.min = 0});
  f("MIN_LR", min_lr, "learning rate at the end of a cosine schedule", {.min = 0});
  f.choice("LR_SCALING", lr_scaling, {"linear", "sqrt", "none"},
           "how the three rates follow the effective batch: x batch / LR_REFERENCE_BATCH, its root, or not");
  f("LR_REFERENCE_BATCH", lr_reference_batch, "the batch that the rates are meant for",
    {.min = 1, .unit = "samples"});
  f("WEIGHT_DECAY", weight_decay, "not applied to biases and other 1-D parameters", {.min = 0});
  f("CLIP_GRAD", clip_grad, "largest norm of all gradients together; 0: no clipping", {.min = 0});
  f("MAX_NONFINITE", max_nonfinite,
    "give up after so many steps in a row whose loss or gradient is not finite; in f16 at the least loss "
    "scale",
    {.min = 1, .unit = "steps"});
  f("AUTO_RESUME", auto_resume, "continue from the newest checkpoint of the run directory, if it has one");
  f("SYNC_BN", sync_bn, "batch norm over the batch of all processes (SyncBN) instead of each process' part");
  f("FREEZE", freeze,
    "parameters that are not trained, by components of their name, as layer1 or blocks.0; backbone: all "
    "but the classifier. A frozen batch norm keeps its statistics");
  f("LOSS", loss, "auto: cross_entropy for class labels, mse for values; or a registered loss");
  Name optimizer_name{optimizer, "a registered optimizer: adamw, sgd, ..."};
  f.group("OPTIMIZER", optimizer_name);
  Name schedule_name{schedule, "a registered schedule: cosine, linear, ...; per optimizer step"};
  f.group("LR_SCHEDULER", schedule_name);
}

void AmpSettings::fields(config::Fields& f) {
  f("AMP_ENABLE", enable, "mixed precision");
  f("ENABLE_AMP", simmim_enable,
    "SimMIM's name for AMP_ENABLE, which decides; True beside AMP_ENABLE False is refused");
  f.choice("AMP_OPT_LEVEL", level, {"", "O0", "O1", "O2", "O3"},
           "Apex' levels: O0 is f32, O1 multiplies in 16 bits, O2 rounds all weights but norms', O3 "
           "trains in 16 bits; '' is O1");
  f.choice("AMP.DTYPE", dtype, {"auto", "f32", "bf16", "f16"}, "auto: f16 on CUDA, f32 on the CPU");
}

void TestSettings::fields(config::Fields& f) {
  f("METRICS", metrics,
    "registered metrics, the first of which decides what is best; empty: acc1 and acc5 for class labels, "
    "mse and mae for values");
}

void ConvSettings::fields(config::Fields& f) {
  f("WINOGRAD", winograd,
    "on the CPU, 3x3 convolutions in f32 by Winograd's algorithm where that is faster; false: direct sums");
}

void AugSettings::fields(config::Fields& f) {
  f("ENABLE", enable, "false: no augmentation at all, resize and normalise only");
}

}  // namespace trainer::train
